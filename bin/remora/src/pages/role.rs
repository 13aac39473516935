//! The permissions of the identity, tested by a write without samples.

use super::pages;

pages! { ROLE = Role {
RBAC_01 "RBAC-01" "The identity may write to the data collection rule",
"It needs the role Monitoring Metrics Publisher on the rule itself; a role on the workspace does not count. A new assignment takes up to 30 minutes to take effect. Azure also answers 403 if the data collection endpoint accepts no public network access.",
"assign the role, or wait if that was done within the last half hour (remora check --write --wait 30m); Remora needs no restart. If Azure's text is about\n\
public network access, connect the pod's network to the endpoint's private link, or allow public access (the last command shows what is allowed). If the\n\
text is not Azure's JSON, it comes from a proxy or firewall on the way (NET-02)\n\
az monitor data-collection rule list --query \"[?immutableId=='<dcr>'].id\" -o tsv\n\
az role assignment create --assignee-object-id <object-id> --assignee-principal-type ServicePrincipal --role \"Monitoring Metrics Publisher\" --scope $(az monitor data-collection rule list --query \"[?immutableId=='<dcr>'].id\" -o tsv)\n\
az role assignment list --assignee <object-id> --all -o table\n\
az monitor data-collection endpoint list --query \"[].{name:name, access:networkAcls.publicNetworkAccess}\" -o table";

RBAC_02 "RBAC-02" "The data collection rule and its stream exist",
"Azure has no rule and stream at the path in INGESTION_URL. Nothing sent there arrives.",
"copy \"Metrics ingestion endpoint\" from the workspace's Overview page again, or compare\n\
az monitor data-collection rule list --query \"[].{rule:immutableId, endpoint:dataCollectionEndpointId}\" -o table\n\
az monitor account show -n <workspace> -g <group> --query defaultIngestionSettings";

RBAC_03 "RBAC-03" "Azure accepts more requests",
"Azure throttles: a rule accepts 15,000 requests and 50 GB a minute; a workspace, unless its limits were raised, one million events (samples) a minute and one million active time series. Samples wait in Prometheus and are refused once they are 20 minutes old. Those of further series may be accepted and then dropped.",
"find out which limit it is; the first command shows the workspace's ID\n\
az monitor data-collection rule list --query \"[?immutableId=='<dcr>'].destinations.monitoringAccounts[].accountResourceId\" -o tsv\n\
az monitor metrics list --resource <workspace-id> --metric EventsPerMinuteIngestedPercentUtilization --aggregation Average\n\
az monitor metrics list --resource <workspace-id> --metric ActiveTimeSeriesPercentUtilization --aggregation Average\n\
if one is near 100, drop series that nobody needs (writeRelabelConfigs or write_relabel_configs), scrape less often, or raise the limits with the ARM template\n\
AMWLimitIncrease of github.com/Azure/prometheus-collector (internal/docs): up to 2 million without conditions, up to 20 million if half of the new limit is in use\n\
az deployment group create -g <group> --template-file AMWLimitIncrease-Template.json --parameters AMWLimitIncrease-Parameters.json\n\
if neither is, it is a limit of the rule: let Prometheus send larger batches (maxSamplesPerSend or max_samples_per_send), or write to a second rule";

RBAC_04 "RBAC-04" "Azure Monitor accepts the access token",
"A token from another tenant or for another audience is refused, whatever its roles.",
"keep identity, workspace and token in one tenant and one cloud; see also TOK-11\n\
az monitor account show -n <workspace> -g <group> --query id -o tsv\n\
az account show --query \"{tenant:tenantId, cloud:environmentName}\"";

RBAC_05 "RBAC-05" "Azure Monitor answers",
"Azure answered with an error of its own, or not at all. Samples wait in Prometheus. A web page comes from a proxy on the way, which then has to let this host through without inspecting TLS.",
"for a timeout, look for a local cause first (remora check --only network), then make the sender's batches smaller (maxSamplesPerSend or max_samples_per_send);\n\
UPSTREAM_TIMEOUT must be shorter than the sender's own timeout, 30 seconds in Prometheus. Otherwise try again, and check whether Azure reports an outage\n\
az rest --method get --url \"https://management.azure.com/subscriptions/<subscription>/providers/Microsoft.ResourceHealth/events?api-version=2022-10-01\"";
} }
