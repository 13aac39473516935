//! The container's settings.

use super::pages;

pages! { CONFIGURATION = Configuration {
CFG_01 "CFG-01" "INGESTION_URL is an https URL",
"Samples go to this URL and nowhere else.",
"set INGESTION_URL to \"Metrics ingestion endpoint\" from the workspace's Overview page in the portal, or assemble it from\n\
az monitor account show -n <workspace> -g <group> --query defaultIngestionSettings\n\
az monitor data-collection endpoint show --ids <endpoint-id> --query metricsIngestion.endpoint -o tsv\n\
az monitor data-collection rule show --ids <rule-id> --query immutableId -o tsv";

CFG_02 "CFG-02" "INGESTION_URL is the metrics endpoint of a data collection rule",
"A workspace has a query endpoint, and its collection endpoint has one for logs and one for metrics. Only the last accepts remote write.",
"use https://<endpoint>.metrics.ingest.monitor.azure.com/dataCollectionRules/<dcr>/streams/Microsoft-PrometheusMetrics/api/v1/write?api-version=2023-04-24 with the values from\n\
az monitor data-collection rule list --query \"[].{name:name, rule:immutableId, endpoint:dataCollectionEndpointId}\" -o table\n\
az monitor data-collection endpoint show --ids <endpoint-id> --query metricsIngestion.endpoint -o tsv";

CFG_03 "CFG-03" "INGESTION_URL ends with an api-version that Azure knows",
"Azure refuses requests without an api-version, and may refuse one that it does not know.",
"end INGESTION_URL with ?api-version=2023-04-24";

CFG_04 "CFG-04" "LISTENING_PORT and the other listening settings are valid",
"The sidecar does not start, and Prometheus finds nothing on its port.",
"correct the value in the container's env; kube-prometheus-stack: prometheus.prometheusSpec.containers\n\
kubectl get pod <pod> -n <namespace> -o jsonpath=\"{.spec['containers','initContainers'][*].env}\"";

CFG_05 "CFG-05" "IDENTITY_TYPE, CLOUD and INGESTION_AAD_AUDIENCE are valid and fit INGESTION_URL",
"They decide where the token comes from and what it is for. Azure Monitor refuses a token for another cloud or audience.",
"set CLOUD to the cloud of the workspace (AZUREPUBLIC, AZUREGOVERNMENT or AZURECHINA) and unset INGESTION_AAD_AUDIENCE, or set that to the audience of\n\
the workspace's cloud; CLOUD=AZURECUSTOM, for a cloud without a name of its own, requires it\n\
kubectl get pod <pod> -n <namespace> -o jsonpath=\"{.spec['containers','initContainers'][*].env}\"";

CFG_06 "CFG-06" "All other settings are valid",
"The sidecar does not start if it cannot read a value, and ignores a variable whose name is misspelled.",
"correct the name or the value in the container's env; remora --help lists every setting";

CFG_07 "CFG-07" "The certificates in SSL_CERT_FILE and SSL_CERT_DIR can be used",
"They replace the built-in authorities. Without a usable one, no TLS peer can be trusted.",
"mount a PEM file with at least one CA certificate and set SSL_CERT_FILE to it, or unset both variables to use the built-in authorities\n\
kubectl get pod <pod> -n <namespace> -o jsonpath=\"{.spec['containers','initContainers'][*].volumeMounts}\"";

CFG_08 "CFG-08" "HTTPS_PROXY is an HTTP proxy",
"Requests through the proxy, at least those of the token exchange, fail.",
"set HTTPS_PROXY=http://<host>:<proxy-port>, or unset it and allow the hosts of NET-02 directly";

CFG_09 "CFG-09" "The settings that the identity signs in with are valid",
"A managed identity needs an ID and an endpoint, an application its secret or certificate, an identity binding its proxy.",
"set what IDENTITY_TYPE requires:\n\
- workloadIdentity: what the webhook sets; with an identity binding, also its AZURE_KUBERNETES_ variables\n\
- userAssigned: one of AZURE_CLIENT_ID, AZURE_MANAGED_IDENTITY_OBJECT_ID and AZURE_MANAGED_IDENTITY_RESOURCE_ID\n\
- systemAssigned: nothing on a machine in Azure; on an Azure Arc machine the agent, or IDENTITY_ENDPOINT and IMDS_ENDPOINT\n\
- userAssigned and systemAssigned in App Service, Functions and Container Apps: also what the platform sets\n\
- aadApplication: AZURE_CLIENT_ID, AZURE_TENANT_ID, and one of AZURE_CLIENT_CERTIFICATE_PATH, AZURE_CLIENT_SECRET_FILE and AZURE_CLIENT_SECRET\n\
kubectl get pod <pod> -n <namespace> -o jsonpath=\"{.spec['containers','initContainers'][*].env}\"";
} }
