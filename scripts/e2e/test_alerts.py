"""The alerts of scripts/deploy, tested with promtool."""

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


class Alerts(Case):
    """Every rule is well formed, and fires when it should and not before."""

    def setUp(self):
        self.folder = WorkFolder("alerts")
        self.addCleanup(self.folder.remove)
        manifest = (DEPLOY / "prometheus-rule.yaml").read_text()
        self.rules = textwrap.dedent(manifest.split("\nspec:\n", 1)[1])
        (self.folder.path / "rules.yaml").write_text(self.rules)
        shutil.copy(DEPLOY / "prometheus-rule-tests.yaml", self.folder.path)

    def test_promtool_finds_the_rules_good(self):
        told = promtool("check", "rules", "rules.yaml", folder=self.folder.path)
        self.assertIn("15 rules found", told)

    def test_each_alert_fires_when_it_should_and_not_before(self):
        promtool("test", "rules", "prometheus-rule-tests.yaml", folder=self.folder.path)
        tests = (DEPLOY / "prometheus-rule-tests.yaml").read_text()
        for line in self.rules.splitlines():
            if "- alert:" in line:
                name = line.split()[-1]
                self.assertIn(f"alertname: {name}\n        exp_alerts:\n          -", tests, f"{name} is never expected")

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
