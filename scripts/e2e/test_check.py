"""`remora check` in a healthy setup: its output, and the flags that select what it checks."""

import json
import os
import shlex
import signal
import subprocess
import time
import unittest

import pinned
import snapshots
from checked import Checked
from empty_root import furnish
from namespaces import children, unshare
from pinned import ROOT
from process import Process, free_port, wait_for
from prometheus import Prometheus

VALIDATE = """
import json, sys
from jsonschema import Draft202012Validator
schema = json.load(open(sys.argv[1]))
Draft202012Validator.check_schema(schema)
for path in sys.argv[2:]:
    Draft202012Validator(schema).validate(json.load(open(path)))
"""


class Healthy(Checked):
    """A healthy setup."""

    def test_all_good(self):
        status, text = self.check("--write")
        self.assertEqual(status, 0, text)
        self.assertTrue(text.endswith("This pod can write to dcr-7e57c0de000040008000000000000004 in Azure Monitor.\n"), text)
        snapshots.compare("check/all_good", snapshots.normalised(text, self.folder.path))
        self.assertEqual(self.emulator.stats()["samples"], 0, "samples stored by an empty write")

    def test_all_good_in_one_line_each(self):
        status, text = self.check("--pre", "-o", "short")
        self.assertEqual((status, text.count("\n")), (0, 2), text)

    def test_all_good_with_every_identity(self):
        for identity in ("identity-binding", "secret", "certificate", "pfx", "imds-system", "imds-user", "app-service"):
            with self.subTest(identity=identity):
                status, text = self.check("--write", "-o", "short", **self.of_identity(identity))
                self.assertEqual((status, text.count("\n")), (0, 2), text)
                self.assertIn("This pod can write to dcr-", text)

    def test_all_good_in_an_empty_root(self):
        root = self.folder.path / "root"
        inside = {**furnish(root, self.complete), "PATH": os.environ["PATH"]}
        port = ("--listening-port", str(self.sidecar.port), "--skip", "prometheus")
        command = [*unshare("--fork"), f"--root={root}", "/remora", "check", "--write", *port]
        done = subprocess.run(command, env=inside, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("This pod can write to dcr-", done.stdout)

    def test_flags_win_over_the_environment(self):
        wrong = ("--azure-client-id", "7e57c0de-0000-4000-8000-00000000dead")
        self.assertIn("AADSTS700016", self.check(*wrong)[1])

    def test_prometheus_and_its_queue(self):
        prometheus = Prometheus(self.folder.path, self.sidecar.write_url).start()
        self.addCleanup(prometheus.process.kill)
        status, text = self.check("--prometheus", prometheus.url, "--only", "prometheus")
        self.assertEqual(status, 0, text)
        self.assertIn("2 ok, 0 warned", text)
        status, text = self.check("--prometheus", prometheus.url, "--only", "PROM-02")
        self.assertEqual(status, 0, text)
        self.assertIn("1 ok, 0 warned, 0 failed, 0 skipped", text)

    def test_only_and_skip_choose(self):
        status, text = self.check("--only", "configuration,TOK-05", "--skip", "CFG-08")
        self.assertEqual((status, text.count("[ok]   REMORA-")), (0, 9), text)
        self.assertNotIn("CFG-08", text)

    def test_a_chosen_check_whose_prerequisite_failed_has_not_passed(self):
        away = {"HTTPS_PROXY": f"http://127.0.0.1:{free_port()}", **self.emulator.elsewhere()}
        status, text = self.check("--only", "token-exchange", **away)
        self.assertEqual(status, 1, text)
        self.assertIn("[fail] REMORA-NET-02", text)
        self.assertIn("[skip] REMORA-TOK-10 The identity gets an access token: needs REMORA-NET-02", text)
        status, text = self.check("--only", "role", "--write", "-o", "json", **away)
        self.assertEqual((status, json.loads(text)["success"]), (1, False), text)
        status, text = self.check("--only", "LIVE-03", LISTENING_PORT=str(free_port()))
        self.assertEqual(status, 1, text)
        self.assertIn("[fail] REMORA-LIVE-01", text)
        # A prerequisite that passed is not shown, and one that the user skips is not waited for.
        self.assertNotIn("NET-02", self.check("--only", "token-exchange")[1])
        self.assertNotIn("[fail] REMORA-NET-02", self.check("--only", "TOK-11", "--skip", "NET-02", **away)[1])

    def test_a_skipped_check_does_not_hold_up_the_rest(self):
        self.emulator.ask("/settings", {"clock_skew_s": 7200})
        self.assertNotIn("[fail] REMORA-TOK-10", self.check("-o", "short")[1])
        self.assertIn("[fail] REMORA-TOK-10", self.check("-o", "short", "--skip", "NET-04")[1])

    def test_wait_ends_when_nothing_fails_any_more(self):
        self.emulator.ask("/endpoints/token/stop")
        self.addCleanup(self.emulator.ask, "/endpoints/token/start")
        command = [os.environ["REMORA_BIN"], "check", "--wait", "1m", "-o", "short", "--only", "token-exchange"]
        waiting = Process("check", command, self.folder.path / "waiting.log", self.environment({})).start()
        self.addCleanup(waiting.kill)
        told = lambda: "waiting because REMORA-NET-02 fails" in waiting.output()  # noqa: E731
        wait_for("the check to wait", told, 20, process=waiting)
        self.emulator.ask("/endpoints/token/start")
        self.assertEqual(waiting.wait(60), 0, f"exit status\n{waiting.tail()}")

    def test_wait_as_pid_1_ends_at_a_signal(self):
        command = [*unshare("--pid", "--fork", "--kill-child"), os.environ["REMORA_BIN"]]
        environment = self.environment({"AZURE_FEDERATED_TOKEN_FILE": str(self.folder.path / "nowhere")})
        log = self.folder.path / "pid-1.log"
        waiting = Process("check", [*command, "check", "--pre", "--wait", "30s"], log, environment).start()
        self.addCleanup(waiting.kill)
        wait_for("the check to wait", lambda: "waiting because" in waiting.output(), 5, process=waiting)
        os.kill(children(waiting.pid)[0], signal.SIGTERM)
        self.assertEqual(waiting.wait(2, "to end after SIGTERM"), 143, f"exit status\n{waiting.tail()}")

    def test_wait_does_not_wait_for_settings_and_says_once_what_it_waits_for(self):
        def waited(**changes):
            command = [os.environ["REMORA_BIN"], "check", "--pre", "--wait", "7s", "-o", "short"]
            began = time.monotonic()
            environment = self.environment(changes)
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            return done.stderr, time.monotonic() - began

        told, took = waited(**dict.fromkeys(self.complete))
        self.assertEqual(told, "")
        self.assertLess(took, 4)
        told, took = waited(AZURE_FEDERATED_TOKEN_FILE=str(self.folder.path / "nowhere"))
        self.assertEqual(told, "waiting because REMORA-TOK-01 fails\n")
        self.assertGreater(took, 6)

    def test_a_terminal_gets_colour_and_signs_unless_it_does_not_want_them(self):
        def shown(**changes):
            terminal = {"PATH": os.environ["PATH"], "TERM": "xterm", "LANG": "C.UTF-8"}
            environment = self.environment({**terminal, **changes})
            words = ["script", "-qec", f"{shlex.quote(os.environ['REMORA_BIN'])} check --pre", "/dev/null"]
            done = subprocess.run(words, env=environment, capture_output=True, timeout=30, check=False)
            return done.stdout.decode()

        self.assertIn("\x1b[32m√\x1b[0m REMORA-CFG-01", shown())
        self.assertIn("\n√ REMORA-CFG-01", shown(NO_COLOR="1").replace("\r", ""))
        self.assertIn("\x1b[32m[ok]  \x1b[0m REMORA-CFG-01", shown(LANG="C"))

    def test_every_report_keeps_to_the_schema(self):
        reports = {
            "good": self.check("-o", "json", "--write")[1],
            "offline": self.check("-o", "json", "--pre")[1],
            "empty": self.check("-o", "json", **dict.fromkeys(self.complete))[1],
            "refused": self.check("-o", "json", CLOUD="AZUREGOVERNMENT", INGESTION_AAD_AUDIENCE=None)[1],
        }
        paths = []
        for name, report in reports.items():
            path = self.folder.path / f"{name}.json"
            path.write_text(report)
            paths.append(path)
        python = pinned.python("jsonschema", "jsonschema==4.25.1") / "python"
        command = [python, "-c", VALIDATE, ROOT / "bin/remora/schema/check.json", *paths]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_no_report_holds_a_token(self):
        projected = (self.folder.path / "azure/azure-identity-token").read_text()
        for form in ("table", "json"):
            text = self.check("-o", form, "--write")[1]
            self.assertNotIn(projected.split(".")[1], text)
            self.assertNotIn("eyJ", text)


if __name__ == "__main__":
    unittest.main()
