//! The sidecar running beside the check, and the Prometheus that writes to it.

use super::pages;

pages! { PROCESS =
Process {
LIVE_01 "LIVE-01" "Remora listens on LISTENING_PORT",
"Prometheus writes to this port.",
"find out why the sidecar does not run, or what took its port; another LISTENING_PORT must also be the containerPort of\n\
rw-port and the port in the sender's URL\n\
kubectl logs <pod> -n <namespace> --all-containers --prefix --tail=50\n\
kubectl describe pod <pod> -n <namespace>\n\
kubectl get pod <pod> -n <namespace> -o jsonpath=\"{.spec['containers','initContainers'][*].ports}\"";

LIVE_02 "LIVE-02" "The running sidecar holds a token",
"It retries by itself: within 30 seconds, or after a pause that it was asked for. Its answer says what it is waiting for.",
"wait, then check again; if TOK-10 passes and this does not, replace the pod (queued samples are lost)\n\
kubectl logs <pod> -n <namespace> --all-containers --prefix --tail=50\n\
kubectl delete pod <pod> -n <namespace>";

LIVE_03 "LIVE-03" "Azure accepted samples from the running sidecar within the last five minutes",
"The sidecar works, but nothing gets through or nothing is sent.",
"check whether Prometheus has a remote_write for this port, and what it logs about it\n\
kubectl logs <pod> -n <namespace> --all-containers --prefix --tail=50\n\
kubectl logs <pod> -n <namespace> -c prometheus --tail=50";
}
Sender {
PROM_01 "PROM-01" "Prometheus writes to this sidecar",
"Without a remote_write for it, nothing is sent, however healthy the rest is.",
"add the sidecar to remote_write; kube-prometheus-stack: prometheus.prometheusSpec.remoteWrite with url http://localhost:<port>/api/v1/write\n\
kubectl get prometheus -n <namespace> -o jsonpath='{.items[*].spec.remoteWrite}'";

PROM_02 "PROM-02" "Prometheus' queue loses nothing and keeps up",
"Failed samples, and those that it drops as too old, are lost for good. A queue that needs more shards than it may use grows, and loses samples when they are 20 minutes old.",
"if samples fail, check the logs for the answers that Prometheus got (with RATE_LIMIT_STATUS=429, also set retryOnRateLimit: true); if all shards\n\
are in use, raise maxSamplesPerSend or max_samples_per_send, and maxShards if Azure does not throttle (RBAC-03)\n\
kubectl logs <pod> -n <namespace> -c prometheus --tail=50\n\
kubectl get prometheus -n <namespace> -o jsonpath='{.items[*].spec.remoteWrite[*].queueConfig}'";
}
}
