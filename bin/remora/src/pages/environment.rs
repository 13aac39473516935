//! The changes of the workload identity webhook.

use super::pages;

pages! { ENVIRONMENT = Environment {
ENV_01 "ENV-01" "The workload identity webhook changed this pod",
"The webhook gives a labeled pod its client ID, tenant and token. Without it, the pod has no identity.",
"label the pod azure.workload.identity/use: \"true\" (kube-prometheus-stack: prometheus.prometheusSpec.podMetadata.labels), and check that the\n\
cluster has the webhook; pods in kube-system are skipped, as are containers that the pod's annotation azure.workload.identity/skip-containers lists\n\
kubectl get pod <pod> -n <namespace> -o jsonpath='{.metadata.labels.azure\\.workload\\.identity/use}'\n\
kubectl get mutatingwebhookconfiguration -o name\n\
if the webhook is missing, install it: the first update is for AKS, the second for Arc-enabled Kubernetes. Where AKS has no OIDC issuer yet, this restarts\n\
the API server and changes the issuer of all service account tokens, so that other pods may need a restart, and it cannot be undone\n\
az aks update -g <group> -n <cluster> --enable-oidc-issuer --enable-workload-identity\n\
az connectedk8s update -g <group> -n <cluster> --enable-oidc-issuer --enable-workload-identity\n\
a pod is changed only when it is created: replace it (queued samples are lost)\n\
kubectl delete pod <pod> -n <namespace>";

ENV_02 "ENV-02" "AZURE_CLIENT_ID is a client ID",
"The webhook takes it from the service account. It tells Entra which identity the pod uses.",
"annotate the service account, then replace the pod, because variables are set when it is created (queued samples are lost; without the webhook, set the variable)\n\
az identity show -g <group> -n <identity> --query clientId -o tsv\n\
kubectl annotate sa <service-account> -n <namespace> azure.workload.identity/client-id=<client-id> --overwrite\n\
kubectl delete pod <pod> -n <namespace>";

ENV_03 "ENV-03" "AZURE_TENANT_ID is a tenant",
"Tokens are issued by one tenant: that of the identity and the workspace.",
"annotate the service account, then replace the pod, because variables are set when it is created (queued samples are lost; without the webhook, set the variable)\n\
az account show --query tenantId -o tsv\n\
kubectl annotate sa <service-account> -n <namespace> azure.workload.identity/tenant-id=<tenant-id> --overwrite\n\
kubectl delete pod <pod> -n <namespace>";

ENV_04 "ENV-04" "CLOUD, the authority and INGESTION_URL belong to one cloud",
"An authority of one cloud does not issue tokens for another, and the workspace accepts only those of its own.",
"set CLOUD to the cloud of the workspace, and the webhook's AZURE_ENVIRONMENT to that of the cluster; for a cloud without a name of its own, set\n\
CLOUD=AZURECUSTOM, INGESTION_AAD_AUDIENCE and, unless the webhook sets the authority, AAD_HOST_ENDPOINT\n\
kubectl get pod <pod> -n <namespace> -o jsonpath=\"{.spec['containers','initContainers'][*].env}\"";
} }
