"""The demo: a real Prometheus writes through Remora to the emulator, and every sample is compared at the end."""

import argparse
import json
import signal
import sys
import time

from process import Failure, stop_on_signals, wait_for
from stack import FAILED, PENDING, SCRAPED, SENT, Stack

INTERRUPTED = 128 + signal.SIGINT
PROGRESS_EVERY = 5


def say(text):
    """Prints a line for the user."""
    print(text, file=sys.stderr, flush=True)


def arguments():
    """The command line; scripts/demo passes it through unchanged."""
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="Prometheus writes through Remora to an emulated Azure on this machine; then every sample that "
        "Prometheus holds is compared with what the emulator stored. Installs what is missing, builds both binaries, "
        "uses free loopback ports and a temporary folder.",
        epilog="Exit status: 0 nothing is missing or different, 1 something is or the demo failed, 130 stopped by "
        "Ctrl-C. REMORA_BIN and EMULATOR_BIN name binaries that are already built, PROMETHEUS_BIN another Prometheus than "
        "the installed one. PROMETHEUS_MESSAGE=io.prometheus.write.v2.Request makes it use remote-write 2.0.",
    )
    parser.add_argument("--seconds", type=int, default=60, metavar="N", help="scrape for N seconds (default 60)")
    parser.add_argument("--keep", action="store_true", help="stay up after the comparison, until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="print only the summary as JSON on stdout")
    parser.add_argument("--check-arguments", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.seconds < 1:
        parser.error("--seconds must be at least 1")
    if chosen.check_arguments:
        sys.exit()
    return chosen


class Demo:
    """One run: scrape, lose and regain a target, drain, compare."""

    def __init__(self, stack, seconds):
        self.stack = stack
        self.seconds = seconds
        self.began = time.monotonic()
        self._next_line = 0.0

    def elapsed(self):
        """Seconds since the first sample was stored."""
        return time.monotonic() - self.began

    def run(self):
        """Scrapes for the requested time; the emulator's target disappears in the middle, which writes stale
        markers."""
        stack = self.stack
        stack.scrape_all()
        self.began = time.monotonic()
        self._watch(lambda: self.elapsed() >= self.seconds / 4)
        stack.prometheus.scrape([stack.prometheus.address])
        self._watch(lambda: stack.emulator.stats()["stale"] > 0, 40)
        stack.prometheus.scrape(stack.targets())
        self._watch(lambda: stack.prometheus.count("emulator_workload") > 0, 40)
        self._watch(lambda: self.elapsed() >= self.seconds)
        say("scrapes end; waiting for the stale markers and the last samples")
        stack.drain()
        self._progress()

    def _watch(self, condition, at_most=None):
        """Waits for the condition, with a progress line every few seconds."""

        def look():
            if self.elapsed() >= self._next_line:
                self._progress()
                self._next_line = self.elapsed() + PROGRESS_EVERY
            return condition()

        wait_for("the scrape targets to change", look, at_most or self.seconds + 1, 0.25, self.stack.remora.process)

    def _progress(self):
        metrics = self.stack.prometheus.metrics()
        stats = self.stack.emulator.stats()
        scraped, sent, pending = (int(metrics.get(name, 0)) for name in (SCRAPED, SENT, PENDING))
        life = stats["newest_token_expiry"] - time.time()
        say(
            f"{self.elapsed():4.0f}s  scraped {scraped:>7,}  sent {sent:>7,}  stored {stats['samples']:>7,}  "
            f"pending {pending:>5,}  token expires in {life:,.0f}s"
        )

    def summary(self):
        """(all equal?, the first differences, the numbers): what Prometheus holds compared with what the emulator
        stored."""
        equal, numbers, differences = self.stack.compare()
        metrics = self.stack.prometheus.metrics()
        stats = self.stack.emulator.stats()
        unequal = numbers["missing"] + numbers["extra"] + numbers["differing"]
        failed = int(metrics.get(FAILED, 0))
        return (
            equal and unequal == 0 and failed == 0,
            differences,
            {
                "samples_sent": numbers["sent"],
                "samples_stored": numbers["stored"],
                "samples_differing": unequal,
                "requests": stats["bodies"],
                "failed": failed,
                "stale": numbers["stale"],
                "nan": numbers["nan"],
                "duplicates": stats["duplicates"],
                "out_of_order": numbers["out_of_order"],
                "seconds": round(self.elapsed(), 1),
            },
        )


def show(stack):
    """Prints the addresses while the demo stays up."""
    say(f"Prometheus  {stack.prometheus.url}")
    say(f"Remora      {stack.remora.url}/ready")
    say(f"emulator    {stack.emulator.control}/stats  {stack.emulator.control}/requests")
    say(f"folder      {stack.folder.path}")
    say("Ctrl-C stops everything.")


def report(numbers, as_json):
    """Prints the summary on stdout."""
    if as_json:
        print(json.dumps(numbers), flush=True)
    else:
        width = max(map(len, numbers))
        print("\n".join(f"{name:<{width}}  {value:,}" for name, value in numbers.items()), flush=True)


def run(chosen):
    """The complete demo; returns its exit status."""
    say("starting the emulator, Remora and Prometheus")
    with Stack("demo") as stack:
        demo = Demo(stack, chosen.seconds)
        demo.run()
        equal, differences, numbers = demo.summary()
        report(numbers, chosen.json)
        if not equal:
            stack.folder.keep()
            say(f"{differences}\nNOT EQUAL: samples are missing, differ or came out of order, or Prometheus dropped some; {stack.where()}")
        else:
            say("equal: the emulator stored every sample that Prometheus holds, bit for bit")
        if chosen.keep:
            show(stack)
            stack.prometheus.scrape(stack.targets())
            signal.pause()
        return 0 if equal else 1


def main():
    """Entry point of scripts/demo."""
    stop_on_signals()
    chosen = arguments()
    try:
        return run(chosen)
    except Failure as failure:
        say(f"demo failed: {failure}")
        return 1
    except KeyboardInterrupt:
        say("stopped")
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
