"""A thousand slow connections, one byte a second each, while a Prometheus delivers its samples."""

import unittest
from pathlib import Path

from case import Case, alone, long, seconds, slow
from namespaces import told_inside
from process import Failure

PROGRAM = Path(__file__).resolve().parent / "slow_peers.py"
# Limit in seconds on the 99th percentile, compared with the same run without slow connections.
MOST_DELAY = 1.0


@alone
@slow
class SlowPeers(Case):
    """Occupying a connection slot is not enough to delay other senders, or to keep a probe out."""

    def test_1000_slow_connections_nearly_all_from_strangers(self):
        self.assert_not_delayed(strangers=950, neighbours=50, most=256)

    @long
    def test_1000_slow_connections_from_the_pod_itself(self):
        self.assert_not_delayed(strangers=0, neighbours=1000, most=1100)

    def assert_not_delayed(self, **wanted):
        """Samples are stored about as early as without slow connections, and none is lost."""
        seen = told_inside(PROGRAM, seconds(8, 60), *wanted.values(), seconds=400)
        print(
            f"       {seen['samples']:,} samples, 99 % stored within {seen['beside']:.1f} s; without slow connections "
            f"{seen['before']:.1f} s",
            flush=True,
        )
        if seen["beside"] > seen["before"] + MOST_DELAY or not seen["equal"]:
            raise Failure(f"expected no delay of more than {MOST_DELAY} s and no loss; saw {seen}")
        self.assertEqual(seen["probes"], [200], "answers to probes from a stranger's address")


if __name__ == "__main__":
    unittest.main()
