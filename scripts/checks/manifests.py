"""Finds what a cluster would reject in the Kubernetes files of a folder; prints one line for each fault.

usage: manifests.py KUBECTL PATH...   a PATH is a file of objects, a file of chart values, or a folder for kustomize

Kubernetes objects are validated with Kubernetes' own schemas, those of the prometheus-operator with models generated
from its custom resource definitions. In both, an unknown field is a fault.
"""

import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import yaml
from cloudcoil.models.prometheus_operator import v1, v1alpha1

KUBERNETES = ("1.29", "1.33", "1.37")
OPERATOR_V1 = "monitoring.coreos.com/v1"
OPERATOR = {OPERATOR_V1: v1, "monitoring.coreos.com/v1alpha1": v1alpha1}
PROMETHEUS = ("Prometheus", "PrometheusAgent")
# kube-prometheus-stack's default for the pod of Prometheus.
CHART_POD = {"runAsUser": 1000, "runAsGroup": 2000, "fsGroup": 2000, "runAsNonRoot": True}
# The default of the chart without an operator.
PLAIN_CHART_POD = {"runAsUser": 65534, "runAsGroup": 65534, "fsGroup": 65534, "runAsNonRoot": True}
SECCOMP = {"seccompProfile": {"type": "RuntimeDefault"}}
HARMLESS_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "persistentVolumeClaim", "projected", "secret"}


def main(kubectl, *paths):
    """Prints the faults and returns 1 if there are any."""
    faults = [f"{path}: {fault}" for path in paths for fault in faults_in(kubectl, Path(path))]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


def faults_in(kubectl, path):
    """All faults of the objects in a path."""
    objects = list(load(kubectl, path))
    if not objects:
        yield "contains no object"
    for one in objects:
        about = f"{one['kind']} {one['metadata']['name']}"
        yield from (f"{about}: {fault}" for fault in [*unknown_or_wrong(one), *beyond_restricted(one)])


def load(kubectl, path):
    """The objects in a path."""
    if path.is_dir():
        done = subprocess.run([kubectl, "kustomize", str(path)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"kubectl kustomize {path}: {done.stderr}")
        documents = yaml.safe_load_all(done.stdout)
    else:
        documents = yaml.safe_load_all(path.read_text())
    for document in documents:
        if "kind" in document:
            yield document
        else:
            yield from of_values(document["prometheus"]) if "prometheus" in document else of_plain_values(document)


def of_values(values):
    """The objects that kube-prometheus-stack creates from its values, limited to the parts that matter here."""
    spec = {"securityContext": CHART_POD | SECCOMP} | values["prometheusSpec"]
    yield {"apiVersion": OPERATOR_V1, "kind": "Prometheus", "metadata": {"name": "values"}, "spec": spec}
    for monitor in values.get("additionalPodMonitors", []):
        rest = {key: value for key, value in monitor.items() if key != "name"}
        yield {"apiVersion": OPERATOR_V1, "kind": "PodMonitor", "metadata": {"name": monitor["name"]}, "spec": rest}


def of_plain_values(values):
    """The Deployment that the chart prometheus creates from its values, with only our container."""
    labels = {"app.kubernetes.io/name": "prometheus"}
    named = [{"name": name} | container for name, container in values["server"]["sidecarContainers"].items()]
    pod = {"securityContext": PLAIN_CHART_POD | SECCOMP, "containers": named}
    template = {"metadata": {"labels": labels | values["server"]["podLabels"]}, "spec": pod}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    yield {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "values"}, "spec": spec}


def unknown_or_wrong(one):
    """Schema faults, including those of the pod that the operator creates for a Prometheus."""
    if one["apiVersion"] in OPERATOR:
        yield from by_model(one)
    else:
        yield from by_schema(one)
    if one["kind"] in PROMETHEUS:
        yield from by_schema({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": pod_spec(one)})


def by_model(one):
    """The model drops unknown fields."""
    model = getattr(OPERATOR[one["apiVersion"]], one["kind"])
    try:
        kept = model.model_validate(one).model_dump(mode="json", by_alias=True, exclude_unset=True)
    except ValueError as error:
        yield f"not valid: {error}"
        return
    yield from lost(one["spec"], kept["spec"], "spec")


def lost(given, kept, where):
    """Fields of `given` that are not in `kept`."""
    if isinstance(given, dict):
        for key, value in given.items():
            if not isinstance(kept, dict) or key not in kept:
                yield f"{where}.{key} is not a field"
            else:
                yield from lost(value, kept[key], f"{where}.{key}")
    elif isinstance(given, list):
        for number, value in enumerate(given):
            yield from lost(value, kept[number], f"{where}[{number}]")


def by_schema(one):
    """Strictly, for each Kubernetes version."""
    for version in KUBERNETES:
        try:
            kubernetes_validate.validate(one, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"not valid for Kubernetes {version}: {'.'.join(map(str, error.path))}: {error.message}"


def pod_spec(one):
    """The pod of a Deployment, or our additions to the pod of a Prometheus; None for other kinds."""
    if one["kind"] == "Deployment":
        return one["spec"]["template"]["spec"]
    if one["kind"] in PROMETHEUS:
        kept = ("securityContext", "containers", "initContainers", "volumes")
        spec = {key: one["spec"][key] for key in kept if key in one["spec"]}
        return {"containers": [{"name": "prometheus", "image": "p", "securityContext": restricted()}]} | spec
    return None


def restricted():
    """What the "restricted" profile requires of a container in addition to the pod's settings."""
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}} | SECCOMP


def beyond_restricted(one):
    """What the "restricted" profile refuses (kubernetes.io/docs/concepts/security/pod-security-standards)."""
    spec = pod_spec(one)
    if spec is None:
        return
    if spec.get("hostNetwork") or spec.get("hostPID") or spec.get("hostIPC"):
        yield "shares a namespace with the node"
    for volume in spec.get("volumes", []):
        if not set(volume) - {"name"} <= HARMLESS_VOLUMES:
            yield f"volume {volume['name']} is of a kind that is not allowed"
    for container in spec["containers"] + spec.get("initContainers", []):
        context = spec.get("securityContext", {}) | container.get("securityContext", {})
        yield from (f"container {container['name']}: {fault}" for fault in container_faults(container, context))


def container_faults(container, context):
    """The faults of one container, given the pod's settings."""
    if context.get("allowPrivilegeEscalation") is not False:
        yield "may gain privileges"
    if context.get("capabilities", {}).get("drop") != ["ALL"] or "add" in context.get("capabilities", {}):
        yield "keeps capabilities"
    if context.get("runAsNonRoot") is not True or context.get("runAsUser") == 0:
        yield "may run as root"
    if context.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "has no seccomp profile"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "uses a port of the node"
    if any("host" in container.get(probe, {}).get("httpGet", {}) for probe in ("livenessProbe", "readinessProbe")):
        yield "is probed on another host"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
