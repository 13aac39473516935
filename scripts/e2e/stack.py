"""Prometheus, Remora and the emulator, wired together, and the check that no sample was lost between them."""

import sys
import time

from emulator import Emulator
from process import WorkFolder, wait_for
from prometheus import Prometheus
from remora import Remora

PENDING = "prometheus_remote_storage_samples_pending"
SENT = "prometheus_remote_storage_samples_total"
FAILED = "prometheus_remote_storage_samples_failed_total"
DROPPED = "prometheus_remote_storage_samples_dropped_total"
RETRIED = "prometheus_remote_storage_samples_retried_total"
SCRAPED = "prometheus_tsdb_head_samples_appended_total"

# Longer than any pause between two attempts: 5 s in Prometheus, 30 s in Remora for a token.
STANDSTILL = 40


class Stack:
    """The processes of one run, in one work folder; `with Stack(...)` stops them and keeps the logs of a failed run."""

    def __init__(self, name, emulator_flags=(), environment=None, prometheus=True, remora_flags=(), identity=None):
        self.folder = WorkFolder(name)
        self.emulator = Emulator(self.folder.path, *emulator_flags)
        self.remora = None
        self.prometheus = None
        self._environment = environment or {}
        self._remora_flags = remora_flags
        self._with_prometheus = prometheus
        self._identity = identity

    def start(self):
        """The emulator, then Remora until it has a token, then Prometheus with nothing to scrape."""
        self.emulator.start()
        self.remora = self.make_remora().start()
        if self._with_prometheus:
            self.prometheus = Prometheus(self.folder.path, self.remora.write_url).start()
        return self

    def make_remora(self):
        """Remora with the identity's environment, not yet started."""
        environment = {**self.emulator.remora_environment(self._identity), **self._environment}
        wrapper = self.emulator.arc_wrapper() if self._identity == "arc" else ()
        return Remora(self.folder.path, environment, wrapper, flags=self._remora_flags)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise

    def __exit__(self, kind, _error, _trace):
        if kind is not None and issubclass(kind, Exception):
            self.folder.keep()
            print(f"  {self.where()}", file=sys.stderr)
        self.stop()
        self.folder.remove()

    def stop(self):
        """Stops the processes in the direction of the data flow, so that the sender never meets a closed port."""
        for part in (self.prometheus, self.remora, self.emulator):
            if part is not None:
                part.process.kill()

    def targets(self):
        """The scrape targets: Prometheus itself and the emulator's workload."""
        return [self.prometheus.address, self.emulator.address]

    def scrape_all(self, seconds=30):
        """Gives Prometheus all its targets and waits for the first sample to be stored."""
        self.prometheus.scrape(self.targets())
        wait_for("the first samples to be stored", lambda: self.stored() > 0, seconds, 0.2, self.prometheus.process)

    def stored(self):
        """Samples that the emulator holds; 0 while it is down."""
        stats = self.emulator.stats()
        return stats["samples"] if stats else 0

    def drain(self):
        """Ends the scrapes, and waits for the stale markers and for the last sample in transit.

        Prometheus' count of pending samples does not include what is in its log beyond a full queue, so the end is
        detected from the other side: the emulator stores as many samples as were ever appended. If the numbers stop
        changing short of that, the comparison reports what is missing.
        """
        self.prometheus.scrape([])
        everything_is_stale = lambda: self.prometheus.count('{__name__!=""}') == 0  # noqa: E731
        wait_for("stale markers for every series after the targets were removed", everything_is_stale, 40, 0.25)
        seen, still_since = None, time.monotonic()
        while time.monotonic() - still_since < STANDSTILL:
            metrics = self.prometheus.metrics()
            now = (int(metrics[SCRAPED]), int(metrics[PENDING]), self.stored())
            if now[1] == 0 and now[2] >= now[0]:
                return
            if now != seen:
                seen, still_since = now, time.monotonic()
            time.sleep(0.25)

    def compare(self):
        """(all equal and in order?, the numbers, the first differences); call `drain()` before."""
        equal, numbers, differences = self.emulator.compare(self.prometheus)
        numbers["out_of_order"] = self.emulator.stats()["out_of_order"]
        return equal and numbers["out_of_order"] == 0, numbers, differences

    def where(self):
        """One line for failure messages."""
        return f"logs: {self.folder.path}"
