"""Azure goes down and comes back while Prometheus writes."""

import time
import unittest

from case import Case, beside, seconds, slow
from stack import RETRIED, Stack


@beside
@slow
class Outages(Case):
    """Nothing is lost as long as it is in the sender's write-ahead log."""

    def test_azure_stopped_and_started_again_under_load(self):
        with Stack("outage") as stack:
            stack.scrape_all()
            time.sleep(3)
            stack.emulator.stop()
            time.sleep(seconds(10, 30))
            stack.emulator.start()
            stack.drain()
            self.assert_nothing_missing(stack, at_least=3000)
            retried = stack.prometheus.metric(RETRIED)
            self.assertGreater(retried, 0, f"expected writes to be refused meanwhile; {stack.where()}")


if __name__ == "__main__":
    unittest.main()
