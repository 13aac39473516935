"""`remora check` examines the sidecar beside it and the sender."""

import time
import unittest

import frames
from answering import Answering
from case import slow
from checked import Checked
from process import Failure, free_port, wait_for
from prometheus import Prometheus
from remora import Remora
from stack import Stack

# Lifetime of an access token, in seconds.
LONG_LIFE = 86_399


class Process(Checked):
    """The sidecar beside the check, and the sender."""

    def test_port_in_use_by_something_else(self):
        other = Answering(200, "hello from another container\n")
        self.addCleanup(other.close)
        self.assert_cause("LIVE-01", LISTENING_PORT=str(other.port), words=["something else"])

    def test_no_process(self):
        self.assert_cause("LIVE-01", LISTENING_PORT=str(free_port()), words=["nothing listens", "pass the same flags"])

    def test_sidecar_without_a_token(self):
        wrong = {**self.complete, "AZURE_CLIENT_ID": "7e57c0de-0000-4000-8000-00000000dead"}
        sidecar = Remora(self.folder.path, wrong, log="without-token.log")
        sidecar.process.start()
        self.addCleanup(sidecar.process.kill)
        deadline = time.monotonic() + 20
        while "AADSTS700016" not in sidecar.get("/ready").text:
            if time.monotonic() > deadline:
                raise Failure(f"expected /ready to tell the cause within 20 s\n{sidecar.process.tail()}")
            time.sleep(0.05)
        self.assert_cause("LIVE-02", LISTENING_PORT=str(sidecar.port))

    @slow
    def test_sidecar_whose_token_has_expired(self):
        self.with_token_life(4)
        sidecar = self.another_sidecar("expired.log")
        # It honours that even if Entra would respond again.
        self.with_fault("token", status=429, headers={"Retry-After": "600"})
        wait_for("the token to expire", lambda: sidecar.get("/ready").text.startswith("degraded: "), 30, 0.2)
        self.assert_answer(sidecar.get("/ready"), 200, "degraded")
        self.assert_answer(sidecar.get("/ready/token"), 200, "degraded")
        self.assertEqual(sidecar.get("/status").json()["readiness"], "degraded")
        self.emulator.ask("/faults", method="DELETE")
        self.with_token_life(LONG_LIFE)
        self.assert_cause("LIVE-02", LISTENING_PORT=str(sidecar.port), words=["too many token requests"])

    def test_sidecar_whose_writes_azure_refuses(self):
        sidecar = self.another_sidecar("refused.log")
        self.emulator.ask("/roles/revoke")
        self.assert_answer(sidecar.post(frames.one_sample()), 503, "REMORA-RBAC-01")
        how = {"LISTENING_PORT": str(sidecar.port)}
        self.assert_cause("RBAC-01", words=["Azure answered 403", "az role assignment create"], **how)
        for flags in ((), ("--only", "LIVE-03")):
            self.assertRegex(self.check("--write", *flags, **how)[1], r"\[skip\] REMORA-LIVE-03 .*: needs REMORA-RBAC-01\n")

    def test_sidecar_whose_samples_azure_does_not_take(self):
        sidecar = self.another_sidecar("lost.log")
        self.with_fault("ingest", status=400, body="a label is too long")
        self.assert_answer(sidecar.post(frames.one_sample()), 400, "a label is too long")
        self.assert_cause("LIVE-03", LISTENING_PORT=str(sidecar.port), words=["these samples are lost"])

    def with_token_life(self, seconds):
        """Sets the lifetime of access tokens."""
        self.addCleanup(self.emulator.ask, "/settings", {"token_life_s": LONG_LIFE})
        self.emulator.ask("/settings", {"token_life_s": seconds})

    def another_sidecar(self, log):
        """A sidecar for this test only."""
        sidecar = Remora(self.folder.path, self.complete, log=log).start()
        self.addCleanup(sidecar.process.kill)
        return sidecar

    @slow
    def test_a_sidecar_that_delivers_and_one_that_is_refused(self):
        with Stack("check-delivery") as stack:
            stack.scrape_all()
            asked = ("--only", "running-process,prometheus", "--prometheus", stack.prometheus.url)
            how = {**stack.emulator.remora_environment(), "LISTENING_PORT": str(stack.remora.port)}
            status, text = self.check(*asked, **how)
            self.assertEqual(status, 0, text)
            self.assertRegex(text, r"\[ok\]   REMORA-LIVE-03 .*: last accepted \d+s ago")
            self.assertRegex(text, r"\[ok\]   REMORA-PROM-01 .*: [1-9]\d* samples sent so far")
            stack.emulator.ask("/roles/revoke")
            told = lambda: self.check("--only", "LIVE-03", **how)[0] == 1  # noqa: E731
            wait_for("the refusal to be a failure", told, 30, 0.5)
            self.assertIn("[fail] REMORA-RBAC-01", self.check("--only", "LIVE-03", **how)[1])

    def test_prometheus_that_does_not_answer(self):
        self.assert_warned("PROM-01", "--prometheus", f"http://127.0.0.1:{free_port()}", words=["Connection refused"])

    def test_prometheus_that_writes_elsewhere(self):
        prometheus = Prometheus(self.folder.path, f"http://localhost:{free_port()}/api/v1/write").start()
        self.addCleanup(prometheus.process.kill)
        self.assert_warned("PROM-01", "--prometheus", prometheus.url)
        status, text = self.check("--prometheus", prometheus.url, "--only", "PROM-02")
        self.assertEqual(status, 0, text)
        self.assertIn("[warn] REMORA-PROM-01", text)
        self.assertIn("needs REMORA-PROM-01", text)

    def test_prometheus_that_writes_to_another_path(self):
        prometheus = Prometheus(self.folder.path, f"http://localhost:{self.sidecar.port}/write").start()
        self.addCleanup(prometheus.process.kill)
        self.assert_warned("PROM-01", "--prometheus", prometheus.url)


if __name__ == "__main__":
    unittest.main()
