//! The routes to Entra and to Azure Monitor.

use super::pages;

pages! { NETWORK = Network {
NET_01 "NET-01" "The host names resolve",
"Without an address, there is no connection. If samples go through a private link, a private DNS zone must be linked to the cluster's network.",
"check whether the cluster's DNS answers and resolves external names; the image has no shell, so use another one\n\
kubectl run dns-check -n <namespace> --rm -it --restart=Never --image=busybox --override-type=strategic --overrides='{\"spec\":{\"securityContext\":{\"runAsNonRoot\":true,\"runAsUser\":65534,\"seccompProfile\":{\"type\":\"RuntimeDefault\"}},\"containers\":[{\"name\":\"dns-check\",\"securityContext\":{\"allowPrivilegeEscalation\":false,\"capabilities\":{\"drop\":[\"ALL\"]}}}]}}' -- nslookup <failed-host>\n\
kubectl get pods -n kube-system -l k8s-app=kube-dns";

NET_02 "NET-02" "The hosts accept connections",
"A firewall, a network policy or a proxy is in the way.",
"allow TCP 443 from the pod to login.microsoftonline.com and *.ingest.monitor.azure.com (or the hosts of AZURE_AUTHORITY_HOST and INGESTION_URL), or set HTTPS_PROXY\n\
kubectl get networkpolicy -n <namespace>\n\
az network firewall policy rule-collection-group list --policy-name <policy> -g <group>";

NET_03 "NET-03" "The hosts prove their identity with a certificate",
"A peer that cannot prove it gets neither a token nor samples. If a proxy inspects TLS, its own CA signs every certificate.",
"if the certificate was signed by your own TLS inspection, mount its CA certificate and set SSL_CERT_FILE to the file (it replaces the built-in authorities, so add\n\
those of the hosts that are not inspected), or exempt the hosts from inspection; if not, something else answers in their place\n\
kubectl create configmap inspection-ca -n <namespace> --from-file=ca.pem=<ca-file>";

NET_04 "NET-04" "The clock agrees with Azure's",
"Tokens and certificates are valid for a limited time. With a clock that is minutes off, they look expired or not yet valid, and samples are too old or too new for Azure.",
"let the node's time service set the clock; the pod uses the node's\n\
kubectl get pod <pod> -n <namespace> -o jsonpath='{.spec.nodeName}'\n\
kubectl debug node/<node> -it --image=busybox -- chroot /host timedatectl";
} }
