//! The service account's token in the pod, and its exchange for an access token.

use super::pages;

pages! { TOKENS =
ProjectedToken {
TOK_01 "TOK-01" "The projected token exists and can be read",
"The pod uses it to prove its service account.",
"let the webhook set AZURE_FEDERATED_TOKEN_FILE; it mounts the token at /var/run/secrets/azure/wi/token/azure-identity-token\n\
since v1.6.0 and at /var/run/secrets/azure/tokens/azure-identity-token before. If this user cannot read it, set fsGroup in the pod's securityContext.\n\
Then replace the pod (queued samples are lost)\n\
kubectl get pod <pod> -n <namespace> -o jsonpath='{.spec.volumes[*].projected.sources[*].serviceAccountToken}'\n\
kubectl delete pod <pod> -n <namespace>";

TOK_02 "TOK-02" "The projected token is a JSON web token signed with RS256",
"Entra reads issuer, subject, audience and times from it, and verifies only RS256. Anything else is refused.",
"check what is mounted in its place; a file that was written by hand often holds something else. If the algorithm is another one, let the\n\
cluster sign with an RSA key. Then replace the pod (queued samples are lost)\n\
kubectl get pod <pod> -n <namespace> -o jsonpath='{.spec.volumes}'\n\
kubectl delete pod <pod> -n <namespace>";

TOK_03 "TOK-03" "The subject is a dedicated service account",
"The federated credential names one service account. With the namespace's default account, every pod in the namespace could use the identity.",
"set the pod's serviceAccountName to an account of its own (kube-prometheus-stack: prometheus.serviceAccount.name), and give that account the\n\
annotation and the federated credential\n\
kubectl get pod <pod> -n <namespace> -o jsonpath='{.spec.serviceAccountName}'";

TOK_04 "TOK-04" "The audience is the one that Entra expects",
"A federated credential names api://AzureADTokenExchange unless another audience was chosen on both sides.",
"label the pod azure.workload.identity/use: \"true\", so that the webhook projects the token, or set audience to api://AzureADTokenExchange in the\n\
serviceAccountToken of a volume of your own\n\
kubectl get pod <pod> -n <namespace> -o jsonpath='{.spec.volumes[*].projected.sources[*].serviceAccountToken}'";

TOK_05 "TOK-05" "The projected token is fresh",
"The kubelet replaces it after four fifths of its lifetime. Entra refuses it outside its validity period.",
"see whether the kubelet of the pod's node reports why it does not renew the token, whether the token is mounted with subPath, which is never renewed, and\n\
whether the webhook is there\n\
kubectl get events -n <namespace> --field-selector involvedObject.name=<pod>\n\
kubectl get pod <pod> -n <namespace> -o jsonpath=\"{.spec['containers','initContainers'][*].volumeMounts}\"\n\
kubectl get mutatingwebhookconfiguration -o name\n\
then replace the pod (queued samples are lost); if that helps only for a while, look at that kubelet again\n\
kubectl delete pod <pod> -n <namespace>";

TOK_06 "TOK-06" "The issuer is one that Entra can reach",
"Entra fetches the keys from exactly this URL. A name that only the cluster knows cannot be reached from outside.",
"enable the public issuer: the first two commands are for AKS, the next two for Arc-enabled Kubernetes, where the API server's\n\
--service-account-issuer must be set to the URL that they show. On a cluster of your own, set it to a public URL that serves the cluster's keys.\n\
This restarts the API server and changes the issuer of all service account tokens, so that other pods may need a restart. On AKS, it cannot be undone;\n\
elsewhere, keep the old issuer as a second --service-account-issuer, so that its tokens stay valid\n\
az aks update -g <group> -n <cluster> --enable-oidc-issuer\n\
az aks show -g <group> -n <cluster> --query oidcIssuerProfile.issuerUrl -o tsv\n\
az connectedk8s update -g <group> -n <cluster> --enable-oidc-issuer --enable-workload-identity\n\
az connectedk8s show -g <group> -n <cluster> --query oidcIssuerProfile.issuerUrl -o tsv\n\
then give the federated credential the new issuer (TOK-10) and replace the pod (queued samples are lost)\n\
kubectl delete pod <pod> -n <namespace>";

TOK_07 "TOK-07" "The cluster's issuer publishes its keys",
"Entra fetches the issuer's keys to check the projected token. This check runs in the pod: it can show that the keys are wrong or missing, not that Entra can reach them.",
"check that the issuer answers from outside and names itself exactly as in the token, including any trailing slash, and that the jwks_uri it names\n\
answers with the cluster's keys\n\
curl -sS <issuer-without-slash>/.well-known/openid-configuration\n\
az aks show -g <group> -n <cluster> --query oidcIssuerProfile.issuerUrl -o tsv";
}
TokenExchange {
TOK_10 "TOK-10" "The identity gets an access token",
"Without an access token, Azure Monitor accepts no samples; they wait in Prometheus.",
"the log and remora check say who refused the token and why, with the fix if the reason is known; then it depends on IDENTITY_TYPE. For\n\
workloadIdentity, compare the federated credentials with this pod's issuer and subject; if its token has another audience (TOK-04) or is the\n\
default service account's (TOK-03), change the pod and not the credential. To list or add those of a managed identity\n\
(create replaces one of the same name):\n\
az identity federated-credential list --identity-name <identity> -g <group> -o table\n\
az identity federated-credential create --name <unused-name> --identity-name <identity> -g <group> --issuer <issuer> --subject <subject> --audiences api://AzureADTokenExchange\n\
to list or add those of an Entra application:\n\
az ad app federated-credential list --id <client-id> -o table\n\
az ad app federated-credential create --id <client-id> --parameters '{\"name\":\"<unused-name>\",\"issuer\":\"<issuer>\",\"subject\":\"<subject>\",\"audiences\":[\"api://AzureADTokenExchange\"]}'\n\
for aadApplication, see which secrets and certificates the application has, and when they expire\n\
az ad app credential list --id <client-id> -o table\n\
az ad app credential list --id <client-id> --cert -o table\n\
for userAssigned and systemAssigned, see which identities the machines of a scale set, a web app or an Arc machine have\n\
az vmss identity show -g <node-group> -n <scale-set>\n\
az webapp identity show -g <group> -n <app>\n\
azcmagent show";

TOK_11 "TOK-11" "The access token is for Azure Monitor",
"Azure Monitor refuses a token for another audience (InvalidAudience).",
"unset INGESTION_AAD_AUDIENCE and set CLOUD to the cloud of the workspace\n\
kubectl get pod <pod> -n <namespace> -o jsonpath=\"{.spec['containers','initContainers'][*].env}\"";
}
}
