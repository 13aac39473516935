"""Inside a network namespace: how late samples are stored, first undisturbed, then with a thousand slow connections.

Usage: slow_peers.py SECONDS STRANGERS NEIGHBOURS MAX_CONNECTIONS; prints {"before": …, "beside": …} as JSON, the delays
in seconds at the 99th percentile. Strangers connect from a documentation address (RFC 5737), neighbours from loopback.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

from process import Failure, Process, stop_on_signals, wait_for
from stack import Stack
from web import fetch

STRANGER = "192.0.2.1"
SENDERS = Path(__file__).resolve().parent / "slow_senders.py"
PROBED = "emulator_workload"
PROBES = 20
POLL = 0.1
LATEST = 15


class Delays:
    """Observes when samples appear in the emulator, by their timestamps."""

    def __init__(self, emulator):
        self._emulator = emulator

    def measure(self, seconds):
        """Delays in seconds of all samples scraped in that time, overestimated by at most 0.1 s."""
        began = int(time.time() * 1000)
        ends = began + seconds * 1000
        delays = {}
        while time.time() * 1000 < ends + LATEST * 1000:
            now = self._look(delays, began, ends)
            if now > ends and delays and max(stamp for _series, stamp in delays) >= ends - 1500:
                return list(delays.values())
            time.sleep(POLL)
        raise Failure(f"expected samples to be stored within {LATEST} s; {len(delays)} were")

    def _look(self, delays, began, ends):
        since = max(began, int(time.time() * 1000) - LATEST * 1000)
        lines = fetch(f"{self._emulator.control}/samples?name={PROBED}&since={since}&until={ends}").text.splitlines()
        now = int(time.time() * 1000)
        for line in lines:
            series = json.loads(line)
            key = tuple(sorted(series["labels"].items()))
            for stamp, _bits in series["samples"]:
                delays.setdefault((key, stamp), (now - stamp) / 1000)
        return now


def percentile_99(delays):
    """The delay that one sample in a hundred exceeds."""
    return sorted(delays)[len(delays) * 99 // 100]


def slow_senders(stack, host, count):
    """Starts slow senders and waits until all have connected."""
    command = [sys.executable, "-B", SENDERS, host, stack.remora.port, count]
    process = Process(f"slow-{host}", command, stack.folder.path / f"slow-{host}.log").start()
    wait_for(f"{count} slow connections", lambda: "open" in process.output(), 60, process=process)


def probe(port):
    """The response to a kubelet's probe, which also comes from a foreign address."""
    return fetch(f"http://{STRANGER}:{port}/health").status


def main():
    stop_on_signals()
    seconds, strangers, neighbours, most = map(int, sys.argv[1:])
    for command in ("ip link set lo up", f"ip address add {STRANGER}/32 dev lo"):
        subprocess.run(command.split(), check=True)
    flags = ("--workload-series", "50")
    with Stack("slow-peers", flags, environment={"MAX_CONNECTIONS": str(most)}) as stack:
        stack.scrape_all()
        time.sleep(5)
        delays = Delays(stack.emulator)
        before = delays.measure(seconds)
        for host, count in ((STRANGER, strangers), ("127.0.0.1", neighbours)):
            slow_senders(stack, host, count)
        probes = {probe(stack.remora.port) for _ in range(PROBES)}
        beside = delays.measure(seconds)
        stack.drain()
        equal, numbers, differences = stack.compare()
        seen = {"before": percentile_99(before), "beside": percentile_99(beside), "samples": len(beside)}
        print(json.dumps({**seen, **numbers, "probes": sorted(probes), "equal": equal, "differences": differences}))


if __name__ == "__main__":
    main()
