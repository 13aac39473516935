"""The same run with every sender: it writes, Azure is busy for a while, it keeps writing, and every sample is
stored."""

import time
import unittest

from case import Background, Case, beside, long, seconds, slow
from process import wait_for
from senders import Curl, OpenTelemetry, PrometheusAgent, PrometheusServer, Vmagent
from stack import STANDSTILL, Stack

# Longer than a sender needs to notice that its targets are gone.
SETTLED = 7
BUSY = {"endpoint": "ingest", "action": {"fail": 503}}


@beside
@slow
class Senders(Case):
    """Samples are counted both by the sender and by the emulator."""

    @long
    def test_prometheus(self):
        self.assert_all_stored(PrometheusServer)

    @long
    def test_prometheus_in_agent_mode(self):
        self.assert_all_stored(PrometheusAgent)

    def test_vmagent(self):
        self.assert_all_stored(Vmagent)

    def test_curl(self):
        self.assert_all_stored(Curl)

    def test_opentelemetry_sdk(self):
        # It does not retry, so Azure is not busy.
        self.assert_all_stored(OpenTelemetry, busy=0)

    def assert_all_stored(self, kind, busy=3):
        """Runs a sender through all phases."""
        with Stack("sender", prometheus=False) as stack:
            sender = kind(stack.folder.path, stack.remora.write_url, stack.emulator.address)
            try:
                self.write(stack, sender, busy)
                taken, stored = self.settle(stack, sender)
            finally:
                sender.stop()
            self.assertEqual(taken, stored, f"samples taken in by the sender, and stored; {stack.where()}")
            print(f"       sent {taken:,} = stored {stored:,}", flush=True)
            if busy:
                answers = stack.emulator.stats()["requests"]["ingest"]
                self.assertIn("503", answers, f"expected refusals; {stack.where()}")

    def write(self, stack, sender, busy):
        """Writes before, during and after the time when Azure is busy."""
        writing = Background(sender.write, busy + seconds(4, 60))
        wait_for("the first samples to be stored", lambda: stack.stored() > 0, 60)
        if busy:
            stack.emulator.ask("/faults", {**BUSY, "seconds": busy})
        writing.result(120)
        sender.finish()

    @staticmethod
    def settle(stack, sender):
        """(samples accepted, samples stored) once they are equal and stable, or unequal for STANDSTILL seconds."""
        seen, since = (0, 0), time.monotonic()
        while time.monotonic() - since < (SETTLED if seen[0] == seen[1] else STANDSTILL):
            now = (sender.taken(), stack.stored())
            if now != seen:
                seen, since = now, time.monotonic()
            time.sleep(0.25)
        return seen


if __name__ == "__main__":
    unittest.main()
