"""`remora check` in set-ups that are broken on purpose: the stack they share, and what is asserted of each."""

import json
import os
import re
import subprocess

import snapshots
from case import Case
from emulator import Emulator
from process import Failure, WorkFolder
from remora import Remora

HOST = "https://x-1.eastus-1.metrics.ingest.monitor.azure"
PATH = "/dataCollectionRules/dcr-7e57/streams/Microsoft-PrometheusMetrics/api/v1/write?api-version=2023-04-24"

# Placeholders whose values every pod with a projected token knows.
KNOWN = re.compile(r"<(pod|namespace|service-account|client-id|tenant-id|issuer|subject|audience|dcr|port)>")


class Checked(Case):
    """One emulator and one healthy sidecar for all tests; each test breaks something and puts it right again."""

    @classmethod
    def setUpClass(cls):
        cls.folder = WorkFolder("check")
        cls.emulator = Emulator(cls.folder.path).start()
        cls.addClassCleanup(cls.folder.remove)
        cls.addClassCleanup(cls.emulator.process.kill)
        cls.complete = cls.emulator.remora_environment()
        cls.sidecar = Remora(cls.folder.path, cls.complete).start()
        cls.addClassCleanup(cls.sidecar.process.kill)

    def setUp(self):
        self.addCleanup(self.put_right)

    def put_right(self):
        """The emulator as it was."""
        self.emulator.ask("/faults", method="DELETE")
        self.emulator.ask("/roles/grant")
        self.emulator.ask("/settings", {"federated_credentials": [{}], "clock_skew_s": 0})
        self.emulator.ask("/projected-token", {"write": True})

    def with_credential(self, **credential):
        """The identity has this federated credential instead of the fitting one."""
        self.emulator.ask("/settings", {"federated_credentials": [credential]})

    def with_token(self, **projected):
        """The pod's projected token says this."""
        self.emulator.ask("/projected-token", {**projected, "write": True})

    def with_fault(self, endpoint, **action):
        """An endpoint does this to every request."""
        self.emulator.ask("/faults", {"endpoint": endpoint, "action": action})

    def environment(self, changes):
        """The pod's environment with other values; None takes one away."""
        whole = {**self.complete, "LISTENING_PORT": str(self.sidecar.port), "HOSTNAME": "prometheus-0", **changes}
        return {name: value for name, value in whole.items() if value is not None}

    def of_identity(self, identity, **changes):
        """What makes the pod's environment that of another kind of identity, and other values over it."""
        environment = self.emulator.remora_environment(identity)
        return {**dict.fromkeys(name for name in self.complete if name not in environment), **environment, **changes}

    def check(self, *flags, wrapper=(), **changes):
        """(exit status, standard output) of `remora check`."""
        # No Prometheus is meant to be found by chance.
        quiet = () if "--prometheus" in flags else ("--skip", "prometheus")
        command = [*wrapper, os.environ["REMORA_BIN"], "check", *flags, *quiet]
        done = subprocess.run(
            [str(word) for word in command],
            env=self.environment(changes),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.stderr:
            raise Failure(f"expected nothing on standard error; saw {done.stderr}")
        return done.returncode, done.stdout

    def assert_found(self, code, result, *flags, status, words=(), **how):
        """Exactly one check has this result, it is `code`, and what is printed is what the snapshot shows."""
        seen, text = self.check("-o", "json", *flags, **how)
        report = json.loads(text)
        checks = [check for category in report["categories"] for check in category["checks"]]
        found = [check["id"] for check in checks if check["result"] == result]
        self.assertEqual(found, [f"REMORA-{code}"], f"the checks with the result {result}\n{text}")
        self.assertEqual(seen, status, f"exit status\n{text}")
        if result == "error":
            self.assert_one_cause(code, checks, text)
        seen, short = self.check("-o", "short", *flags, **how)
        self.assertEqual(seen, status, f"exit status\n{short}")
        for word in words:
            self.assertIn(word, short)
        name = self._testMethodName.removeprefix("test_")
        # How many others hold changes with every new check.
        found = "".join(line for line in short.splitlines(True) if not line.startswith("Status check results"))
        snapshots.compare(f"check/{name}", snapshots.normalised(found, self.folder.path))

    def assert_one_cause(self, code, checks, text):
        """Everything that was skipped for a failure names this one; its repair is filled in."""
        blamed = {check["needs"] for check in checks if "needs" in check}
        self.assertLessEqual(blamed, {f"REMORA-{code}"}, f"the failures that others were skipped for\n{text}")
        for check in checks:
            if check["result"] == "error" and code != "ENV-01":
                commands = "\n".join(check["remediation"]["commands"])
                known = [name for name in KNOWN.findall(commands) if not (code, name) in UNKNOWN]
                self.assertEqual(known, [], f"placeholders that could be filled in\n{commands}")

    def assert_cause(self, code, *flags, words=(), **how):
        """The one cause of a failure."""
        self.assert_found(code, "error", *flags, status=1, words=words, **how)

    def assert_warned(self, code, *flags, words=(), **how):
        """One warning, which is no failure, except to those who are strict."""
        self.assert_found(code, "warning", *flags, status=0, words=words, **how)
        self.assertEqual(self.check("--strict", *flags, **how)[0], 2, "exit status with --strict")


# What a broken set-up takes away is not known there.
UNKNOWN = {
    ("ENV-02", "client-id"),
    ("ENV-03", "tenant-id"),
    ("CFG-01", "dcr"),
    ("CFG-02", "dcr"),
    ("TOK-01", "namespace"),
    ("TOK-01", "service-account"),
    ("TOK-02", "namespace"),
    ("TOK-10", "client-id"),
}
