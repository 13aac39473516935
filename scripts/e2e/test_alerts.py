"""The alerts of scripts/deploy, tested with promtool."""

import json
import re
import shutil
import textwrap
import unittest
from pathlib import Path

from case import Case
from process import WorkFolder
from promtool import promtool

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
FAMILIES = DEPLOY.parents[1] / "core/src/forward/counters/families.rs"


def panel_test(expression, cluster, none, sound):
    """promtool's test of a panel's query: a sound pod, and one without a success or token; 10 minutes, start at 1."""
    query = re.sub(r"\$\w+", ".*", expression)
    series, expected = [], []
    for number, (succeeded, expiry, value) in enumerate(((540, 3600, sound), (0, 0, none))):
        labels = f'{{namespace="m", pod="p-{number}", instance="10.0.0.{number}:8081"{cluster}}}'
        values = {
            f"remora_last_success_timestamp_seconds{labels}": succeeded,
            f"remora_token_expiry_timestamp_seconds{labels}": expiry,
            f"process_start_time_seconds{labels}": 60,
            # Prometheus in the same pod.
            f"process_start_time_seconds{labels.replace('8081', '9090')}": 1,
        }
        series += [{"series": name, "values": f"{constant}x20"} for name, constant in values.items()]
        expected.append({"labels": labels, "value": value})
    test = {"interval": "1m", "input_series": series}
    test["promql_expr_test"] = [{"expr": query, "eval_time": "10m", "exp_samples": expected}]
    # JSON is also YAML.
    return json.dumps({"tests": [test]})


def queries(panels):
    """(title of the row, title, expression without Grafana's variables, legend) of each query."""
    row = ""
    for panel in panels:
        if panel["type"] == "row":
            row = panel["title"]
        for target in panel.get("targets", ()):
            expression = target["expr"].replace("$__rate_interval", "5m")
            yield row, panel["title"], re.sub(r"\$\w+", ".*", expression), target["legendFormat"]


class Alerts(Case):
    """Every rule is well formed, and fires when it should and not before."""

    def setUp(self):
        self.folder = WorkFolder("alerts")
        manifest = (DEPLOY / "prometheus-rule.yaml").read_text()
        self.rules = textwrap.dedent(manifest.split("\nspec:\n", 1)[1])
        (self.folder.path / "rules.yaml").write_text(self.rules)
        shutil.copy(DEPLOY / "prometheus-rule-tests.yaml", self.folder.path)

    def queries(self):
        """The queries of the dashboard."""
        return list(queries(json.loads((DEPLOY / "dashboard.json").read_text())["panels"]))

    def test_promtool_finds_the_rules_good(self):
        told = promtool("check", "rules", "rules.yaml", folder=self.folder.path)
        self.assertIn("19 rules found", told)

    def test_each_alert_fires_when_it_should_and_not_before(self):
        promtool("test", "rules", "prometheus-rule-tests.yaml", folder=self.folder.path)
        tests = (DEPLOY / "prometheus-rule-tests.yaml").read_text()
        for line in self.rules.splitlines():
            if "- alert:" in line:
                name = line.split()[-1]
                self.assertIn(f"alertname: {name}\n        exp_alerts:\n          -", tests, f"{name} is never expected")

    def test_the_dashboard_shows_a_pod_that_never_succeeded_and_has_no_token(self):
        panels = json.loads((DEPLOY / "dashboard.json").read_text())["panels"]
        # (title, value without a success or token 9 minutes after the start, value of a sound pod)
        for title, none, sound in (("Since the last success", 540, 60), ("Token left", 0, 3000)):
            expression = next(panel for panel in panels if panel["title"] == title)["targets"][0]["expr"]
            # With the label `cluster` and without.
            for cluster in ("", ', cluster="one"'):
                (self.folder.path / "panel.yaml").write_text(panel_test(expression, cluster, none, sound))
                promtool("test", "rules", "panel.yaml", folder=self.folder.path)

    def test_prometheus_can_read_every_query_of_the_dashboard(self):
        expressions = [expression for _, _, expression, _ in self.queries()]
        rules = [{"record": f"q:{number}", "expr": expression} for number, expression in enumerate(expressions)]
        (self.folder.path / "queries.yaml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
        told = promtool("check", "rules", "queries.yaml", folder=self.folder.path)
        self.assertIn(f"{len(expressions)} rules found", told)

    def test_every_line_of_the_dashboard_has_the_labels_of_its_legend(self):
        for row, title, expression, legend in self.queries():
            labels = set(re.findall(r"\{\{(\w+)\}\}", legend))
            self.assertIn("cluster", labels, title)
            for kept in re.findall(r"sum by \((.*?)\)", expression):
                self.assertEqual(labels, set(kept.split(", ")) - {"le"}, f"{title}: {expression}")
            if row == "Prometheus' queues":
                self.assertLessEqual({"pod", "remote_name"}, labels, title)

    def drawn(self, title, series, expected):
        """A panel's first query gives these values by labels, for constant or rising series."""
        expression = next(query for _, panel, query, _ in self.queries() if panel == title)
        test = {"interval": "1m", "input_series": [{"series": name, "values": values} for name, values in series.items()]}
        samples = [{"labels": labels, "value": value} for labels, value in expected.items()]
        test["promql_expr_test"] = [{"expr": expression, "eval_time": "10m", "exp_samples": samples}]
        (self.folder.path / "drawn.yaml").write_text(json.dumps({"tests": [test]}))
        promtool("test", "rules", "drawn.yaml", folder=self.folder.path)

    def test_the_dashboard_keeps_the_queues_of_a_prometheus_apart(self):
        pending = "prometheus_remote_storage_samples_pending"
        azure, other = '{pod="p", remote_name="azure-monitor"}', '{pod="p", remote_name="thanos"}'
        self.drawn("Pending", {pending + azure: "5x10", pending + other: "7000x10"}, {azure: 5, other: 7000})

    def test_the_dashboard_shows_drops_by_reason_so_that_relabeling_hides_no_loss(self):
        (dropped,) = [query for _, _, query, _ in self.queries() if "_samples_dropped_total" in query]
        self.assertIn("reason", re.search(r"sum by \((.*?)\)", dropped)[1])

    def test_the_dashboard_counts_histograms_with_the_samples(self):
        series = {
            'remora_samples_total{pod="p", outcome="refused"}': "0+60x10",
            'remora_histograms_total{pod="p", outcome="refused"}': "0+120x10",
            'remora_samples_total{pod="q", outcome="refused"}': "0+60x10",
            'remora_histograms_total{pod="q", outcome="refused"}': "0x10",
        }
        self.drawn("Samples by outcome", series, {'{outcome="refused"}': 4})

    def test_a_queue_that_has_sent_nothing_yet_has_no_lag_to_draw(self):
        newest, sent = "highest_timestamp_in_seconds", "queue_highest_sent_timestamp_seconds"
        queue = '{pod="p", remote_name="%s", url="http://localhost:8081/api/v1/write"}'
        series = {
            f'prometheus_remote_storage_{newest}{{pod="p"}}': "1700000000x10",
            f"prometheus_remote_storage_{sent}{queue % 'azure-monitor'}": "1699999970x10",
            f"prometheus_remote_storage_{sent}{queue % 'thanos'}": "0x10",
        }
        self.drawn("Lag", series, {queue % "azure-monitor": 30})

    def test_the_lag_is_that_of_the_queue_where_prometheus_counts_it(self):
        queue = '{pod="p", remote_name="azure-monitor", url="http://localhost:8081/api/v1/write"}'
        series = {
            'prometheus_remote_storage_highest_timestamp_in_seconds{pod="p"}': "1700000000x10",
            f"prometheus_remote_storage_queue_highest_timestamp_seconds{queue}": "1699999980x10",
            f"prometheus_remote_storage_queue_highest_sent_timestamp_seconds{queue}": "1699999970x10",
        }
        self.drawn("Lag", series, {queue: 10})

    def test_a_command_in_a_description_can_be_pasted_and_is_about_its_alert(self):
        explained = []
        for rule in self.rules.split("- alert: ")[1:]:
            name, expression = rule.split("\n", 1)
            expression, description = expression.split("description: >-")
            if "$labels.container" in description:
                for kept in re.findall(r"\b(?:by|on) \((.*?)\)", expression):
                    self.assertLessEqual({"namespace", "pod", "container"}, set(kept.split(", ")), name)
            explained += [(name, about) for about in re.findall(r"/remora explain (\w+)", description)]
        self.assertGreater(len(explained), 5)
        for name, about in explained:
            self.assertEqual(name, about)

    def test_each_status_that_loses_samples_is_told_and_each_reason_has_its_line(self):
        families = FAMILIES.read_text()
        codes = re.search(r"^codes!\((.*)\);$", families, re.MULTILINE)[1].split()
        told = re.search(r'remora_requests_total\{code=~"(40.*?)"\}', self.rules)[1]
        lost = [code for code in codes if re.fullmatch(told, code)]
        # 408 is never sent to senders, and on 429 senders retry.
        self.assertEqual(lost, [code for code in codes if code[0] == "4" and code not in ("408", "429")])
        runbook = (DEPLOY / "RUNBOOK.md").read_text()
        page = runbook.split("### RemoraSamplesRefused\n", 1)[1].split("\n## ", 1)[0]
        reasons = re.findall(r'"(\w+)"', re.search(r"RejectedFor \{(.*?)\}", families, re.DOTALL)[1])
        self.assertIn("too_large", reasons)
        for reason in reasons:
            self.assertIn(f"`{reason}`", page)


if __name__ == "__main__":
    unittest.main()
