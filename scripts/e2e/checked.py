"""`remora check` in deliberately broken setups: their shared stack, and the assertions on each."""

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

# Placeholders whose values are known in every pod with a projected token.
KNOWN = re.compile(r"<(pod|namespace|service-account|client-id|tenant-id|issuer|subject|audience|dcr|port)>")


class Checked(Case):
    """One emulator and one healthy sidecar for all tests; each test breaks something and restores it."""

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
        """Restores the emulator."""
        self.emulator.ask("/faults", method="DELETE")
        self.emulator.ask("/roles/grant")
        self.emulator.ask("/settings", {"federated_credentials": [{}], "clock_skew_s": 0})
        self.emulator.ask("/projected-token", {"write": True})

    def with_credential(self, **credential):
        """Gives the identity this federated credential instead of the matching one."""
        self.emulator.ask("/settings", {"federated_credentials": [credential]})

    def with_token(self, **projected):
        """Changes the pod's projected token."""
        self.emulator.ask("/projected-token", {**projected, "write": True})

    def with_fault(self, endpoint, **action):
        """Applies this action to every request of an endpoint."""
        self.emulator.ask("/faults", {"endpoint": endpoint, "action": action})

    def environment(self, changes):
        """The pod's environment with other values; None removes one."""
        whole = {**self.complete, "LISTENING_PORT": str(self.sidecar.port), "HOSTNAME": "prometheus-0", **changes}
        return {name: value for name, value in whole.items() if value is not None}

    def of_identity(self, identity, **changes):
        """Changes that turn the pod's environment into that of another kind of identity, with other values on top."""
        environment = self.emulator.remora_environment(identity)
        return {**dict.fromkeys(name for name in self.complete if name not in environment), **environment, **changes}

    def check(self, *flags, wrapper=(), **changes):
        """(exit status, standard output) of `remora check`."""
        # No Prometheus may be found by accident.
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
        """Exactly one check, `code`, has this result, and the output matches the snapshot."""
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
        # The number of other checks that pass changes with every new check.
        found = "".join(line for line in short.splitlines(True) if not line.startswith("Status check results"))
        snapshots.compare(f"check/{name}", snapshots.normalised(found, self.folder.path))

    def assert_one_cause(self, code, checks, text):
        """Every check skipped because of a failure names this one, and the placeholders of its fix are filled in."""
        blamed = {check["needs"] for check in checks if "needs" in check}
        self.assertLessEqual(blamed, {f"REMORA-{code}"}, f"the failures that others were skipped for\n{text}")
        for check in checks:
            if check["result"] == "error" and code != "ENV-01":
                commands = "\n".join(check["remediation"]["commands"])
                known = [name for name in KNOWN.findall(commands) if not (code, name) in UNKNOWN]
                self.assertEqual(known, [], f"placeholders that could be filled in\n{commands}")

    def assert_cause(self, code, *flags, words=(), **how):
        """The single cause of a failure."""
        self.assert_found(code, "error", *flags, status=1, words=words, **how)

    def assert_warned(self, code, *flags, words=(), **how):
        """One warning, which is a failure only with --strict."""
        self.assert_found(code, "warning", *flags, status=0, words=words, **how)
        self.assertEqual(self.check("--strict", *flags, **how)[0], 2, "exit status with --strict")


# Values that are unknown in a broken setup.
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
