//! What the container was told.

use super::pages;

pages! { CONFIGURATION = Configuration {
CFG_01 "CFG-01" "INGESTION_URL is an https URL",
"Samples go to this URL and nowhere else.",
"set INGESTION_URL to \"Metrics ingestion endpoint\" from the workspace's Overview page in the portal, or put it together from\n\
az monitor account show -n <workspace> -g <group> --query defaultIngestionSettings\n\
az monitor data-collection endpoint show --ids <endpoint-id> --query metricsIngestion.endpoint -o tsv\n\
az monitor data-collection rule show --ids <rule-id> --query immutableId -o tsv";

CFG_02 "CFG-02" "INGESTION_URL is the metrics endpoint of a data collection rule",
"A workspace has a query endpoint and its collection endpoint has one for logs and one for metrics. Only the last takes remote write.",
"use https://<endpoint>.metrics.ingest.monitor.azure.com/dataCollectionRules/<dcr>/streams/Microsoft-PrometheusMetrics/api/v1/write?api-version=2023-04-24 with the values of\n\
az monitor data-collection rule list --query \"[].{rule:immutableId, endpoint:dataCollectionEndpointId}\" -o table\n\
az monitor data-collection endpoint show --ids <endpoint-id> --query metricsIngestion.endpoint -o tsv";

CFG_03 "CFG-03" "INGESTION_URL ends in an api-version that Azure knows",
"Azure refuses requests without an api-version, and may refuse one that it does not know.",
"end INGESTION_URL in ?api-version=2023-04-24";

CFG_04 "CFG-04" "LISTENING_PORT and the other settings of listening are valid",
"The sidecar does not start, and Prometheus finds nobody on its port.",
"correct the value in the container's env; kube-prometheus-stack: prometheus.prometheusSpec.containers\n\
kubectl get pod <pod> -n <namespace> -o jsonpath=\"{.spec['containers','initContainers'][*].env}\"";

CFG_05 "CFG-05" "IDENTITY_TYPE, CLOUD and INGESTION_AAD_AUDIENCE are valid and fit each other",
"They decide who is asked for a token and what the token is for. A token for another cloud or audience is refused by Azure Monitor.",
"set CLOUD to the cloud of the workspace (AZUREPUBLIC, AZUREGOVERNMENT or AZURECHINA), and leave INGESTION_AAD_AUDIENCE unset unless CLOUD=AZURECUSTOM\n\
kubectl get pod <pod> -n <namespace> -o jsonpath=\"{.spec['containers','initContainers'][*].env}\"";

CFG_06 "CFG-06" "All other settings are valid",
"The sidecar does not start with a value that it cannot read.",
"correct the value in the container's env; remora --help lists every setting";

CFG_07 "CFG-07" "The certificates of SSL_CERT_FILE and SSL_CERT_DIR can be used",
"They replace the built-in authorities. Without one that can be used no TLS peer can be trusted.",
"mount a PEM file with at least one CA certificate and name it in SSL_CERT_FILE, or unset both variables for the built-in authorities\n\
kubectl get pod <pod> -n <namespace> -o jsonpath=\"{.spec['containers','initContainers'][*].volumeMounts}\"";

CFG_08 "CFG-08" "HTTPS_PROXY is an HTTP proxy",
"What goes by way of the proxy, the token exchange at least, cannot be reached.",
"set HTTPS_PROXY=http://<host>:<proxy-port>, or unset it and allow the hosts of NET-02 directly";

CFG_09 "CFG-09" "What the identity signs in with is there",
"A managed identity needs an id and an endpoint, an application its secret or certificate, an identity binding its proxy.",
"set what IDENTITY_TYPE asks for; remora --help lists the settings of each type\n\
kubectl get pod <pod> -n <namespace> -o jsonpath=\"{.spec['containers','initContainers'][*].env}\"";
} }
