"""The check of the documents' commands detects misspellings: each test inserts one into a copy of the tree."""

import subprocess
import sys
import unittest

from copied import ROOT, WORKSPACE, CopiedTree

README = ROOT / "scripts/checks/readme"


class Readme(CopiedTree):
    """Each fault is reported with its command."""

    copied = [*WORKSPACE, "README.md", "SECURITY.md", "fuzz/README.md", "scripts"]

    def check(self):
        """(exit status, output) of the check on the copy."""
        command = [sys.executable, str(README), "--root", str(self.tree)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def assert_fault(self, command, expected):
        """A block with this command is refused with this message."""
        self.append("README.md", f"\n```\n{command}\n```\n")
        self.assertEqual(self.check(), (1, f"README.md: {command}: {expected}\n"))

    def test_the_documents_as_they_are(self):
        self.assertEqual(self.check(), (0, ""))

    def test_a_file_that_is_shown_otherwise_than_it_is(self):
        values = self.tree / "scripts/deploy/values-sidecar.yaml"
        values.write_text(values.read_text().replace("cpu: 5m", "cpu: 6m"))
        self.assertEqual(self.check(), (1, "README.md: scripts/deploy/values-sidecar.yaml has changed; show it as it is\n"))

    def test_a_script_that_is_not_there(self):
        self.assert_fault("scripts/demos", "scripts/demos is not a program")

    def test_a_flag_that_a_script_does_not_have(self):
        self.assert_fault("scripts/demo --second 60", "scripts/demo has no --second")

    def test_a_check_that_is_not_there(self):
        self.assert_fault("scripts/test --only 'pid 2'", "nothing is named 'pid 2'")

    def test_a_measurement_that_is_not_there(self):
        self.assert_fault("scripts/bench --proxies --only 'at work'", "nothing is named 'at work'")

    def test_a_flag_that_cargo_does_not_have(self):
        self.assert_fault("cargo build --realease", "cargo build has no --realease")

    def test_a_package_that_is_not_there(self):
        self.assert_fault("cargo build -p remorse", "no package is named remorse")

    def test_a_flag_of_the_sidecar_that_is_not_there(self):
        self.assert_fault("remora --listening-prot 8089", "remora has no --listening-prot")

    def test_a_flag_of_the_sidecar_in_a_pod(self):
        command = "kubectl exec prometheus-0 -n monitoring -- /remora --log-levels debug"
        self.assert_fault(command, "remora has no --log-levels")

    def test_a_flag_of_another_tool(self):
        self.assert_fault("skopeo copy --alll oci:a oci:b", "skopeo copy has no --alll")

    def test_a_variable_that_the_set_up_does_not_read(self):
        self.assert_fault("export RESOURCE_GROPU=x", "RESOURCE_GROPU is not a variable of scripts/setup-workload-identity")

    def test_a_variable_that_a_command_gives_its_value(self):
        wrong = "export SERVICE_ACOUNT=$(kubectl get sa -n x --outptu name)"
        variable = "SERVICE_ACOUNT is not a variable of scripts/setup-workload-identity"
        self.assert_fault(wrong, f"{variable}\nREADME.md: {wrong}: kubectl get has no --outptu")

    def test_a_command_that_nobody_knows(self):
        expected = "unknown command; scripts/checks/readme lists those of other projects"
        self.assert_fault("terraform apply", expected)

    def test_a_command_within_another(self):
        wrong = "kubectl delete -n x $(kubectl get pods --outptu name)"
        self.assert_fault(wrong, "kubectl get has no --outptu")

    def test_a_command_after_another(self):
        self.assert_fault("kubectl get pods && kubectl delete pod x --namspace y", "kubectl delete has no --namspace")

    def test_only_what_follows_a_prompt_counts_in_a_transcript(self):
        self.append("README.md", "\n```\n$ scripts/demo\nwhatever it says --so\n```\n")
        self.assertEqual(self.check(), (0, ""))


if __name__ == "__main__":
    unittest.main()
