"""Access tokens that expire and projected tokens that rotate while Prometheus writes."""

import time
import unittest

from case import Case, beside, seconds, slow
from stack import FAILED, RETRIED, Stack

# Remora renews at half of the access token's lifetime; the projected token is replaced before it expires, as by a
# kubelet.
ROTATING = ("--token-life", "20s", "--assertion-life", "20s", "--rotate-every", "15s")
EXPIRING = ("--token-life", "10s")


@beside
@slow
class Tokens(Case):
    """Remora deals with changes of tokens; Prometheus notices nothing."""

    def test_renewal_and_rotation_cost_no_sample_and_no_retry(self):
        life = seconds(50, 180)
        with Stack("rotation", ROTATING) as stack:
            stack.scrape_all()
            time.sleep(life)
            stack.drain()
            self.assert_nothing_missing(stack, at_least=life * 100)
            metrics = stack.prometheus.metrics()
            self.assertEqual(metrics.get(FAILED, 0), 0, f"samples given up; {stack.where()}")
            self.assertEqual(metrics.get(RETRIED, 0), 0, f"samples sent twice; {stack.where()}")
            issued = stack.emulator.stats()["tokens_issued"]
            self.assertGreaterEqual(issued, life // 20, f"expected a token for every 20 s; {stack.where()}")

    def test_token_endpoint_away_until_the_token_has_expired(self):
        with Stack("token-outage", EXPIRING) as stack:
            stack.scrape_all()
            stack.emulator.ask("/endpoints/token/stop")
            time.sleep(seconds(15, 60))
            before = stack.stored()
            stack.emulator.ask("/endpoints/token/start")
            stack.drain()
            self.assert_nothing_missing(stack)
            retried = stack.prometheus.metric(RETRIED)
            self.assertGreater(retried, 0, f"expected writes to be refused without a token; {stack.where()}")
            self.assertGreater(stack.stored(), before, f"expected samples after the outage; {stack.where()}")


if __name__ == "__main__":
    unittest.main()
