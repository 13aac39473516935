"""`remora check` looks at the sidecar beside it and at the sender."""

import time
import unittest

from answering import Answering
from case import slow
from checked import Checked
from process import Failure, free_port, wait_for
from prometheus import Prometheus
from remora import Remora
from stack import Stack


class Process(Checked):
    """The sidecar beside the check, and the sender."""

    def test_port_in_use_by_something_else(self):
        other = Answering(200, "hello from another container\n")
        self.addCleanup(other.close)
        self.assert_cause("LIVE-01", LISTENING_PORT=str(other.port), words=["something else"])

    def test_no_process(self):
        self.assert_cause("LIVE-01", LISTENING_PORT=str(free_port()), words=["nothing listens"])

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
    def test_a_sidecar_that_delivers_and_one_that_is_refused(self):
        with Stack("check-delivery") as stack:
            stack.scrape_all()
            asked = ("--only", "running-process,prometheus", "--prometheus", stack.prometheus.url)
            how = {**stack.emulator.remora_environment(), "LISTENING_PORT": str(stack.remora.port)}
            status, text = self.check(*asked, **how)
            self.assertEqual(status, 0, text)
            self.assertRegex(text, r"\[ok\]   REMORA-LIVE-03 .*: the last \d+s ago")
            self.assertRegex(text, r"\[ok\]   REMORA-PROM-01 .*: [1-9]\d* samples sent so far")
            stack.emulator.ask("/roles/revoke")
            told = lambda: "REMORA-RBAC-01" in self.check("--only", "LIVE-03", **how)[1]  # noqa: E731
            wait_for("the refusal to be told, with its code", told, 30, 0.5)

    def test_prometheus_that_writes_elsewhere(self):
        prometheus = Prometheus(self.folder.path, f"http://localhost:{free_port()}/api/v1/write").start()
        self.addCleanup(prometheus.process.kill)
        self.assert_warned("PROM-01", "--prometheus", prometheus.url)


if __name__ == "__main__":
    unittest.main()
