"""Runs rows of the fault matrix in its own namespaces: reads names from standard input, prints results as JSON lines.

One Prometheus, one Remora and one emulator serve all rows, one after another. The first line reports that they are up.
"""

import json
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from process import Failure, stop_on_signals  # noqa: E402
from stack import FAILED, SCRAPED  # noqa: E402

from faults.rows import ROWS  # noqa: E402
from faults.world import World  # noqa: E402

# Waits that add up in the worst case: Remora's 60 s after Entra's 429, Prometheus' 5 s, and a slow machine.
RECOVERY = 90
POLL = 0.1


class Watch(threading.Thread):
    """Watches the number of stored samples, and records the longest time without a new one."""

    def __init__(self, stack):
        super().__init__(daemon=True)
        self._stack = stack
        self._ended = threading.Event()
        self.longest = 0.0
        self.start()

    def run(self):
        seen, since = 0, time.monotonic()
        while not self._ended.wait(POLL):
            now, stored = time.monotonic(), self._stack.stored()
            self.longest = max(self.longest, now - since)
            if stored > seen:
                seen, since = stored, now

    def finish(self):
        """The longest gap in seconds."""
        self._ended.set()
        self.join()
        return self.longest


def now_ms():
    return int(time.time() * 1000)


def recovered(stack, since, until):
    """The comparison once everything since that time is stored; the last comparison if that never happens."""
    appended = stack.prometheus.metric(SCRAPED)
    deadline = time.monotonic() + RECOVERY
    while time.monotonic() < deadline and stack.stored() < appended:
        time.sleep(POLL)
    while True:
        equal, numbers, differences = stack.emulator.compare(stack.prometheus, since, until)
        if equal or time.monotonic() > deadline:
            return {**numbers, "equal": equal, "differences": differences}
        time.sleep(1)


def stored_since(stack, since):
    """Whether a sample from that time or later is stored."""
    lines = stack.emulator.ask(f"/samples?name=up&since={since}", method="GET").text.splitlines()
    return any(json.loads(line)["samples"] for line in lines)


def stored_within(seconds, stack, since):
    """Whether a sample from that time or later is stored, or will be within so many seconds."""
    deadline = time.monotonic() + seconds
    while not (stored := stored_since(stack, since)) and time.monotonic() < deadline:
        time.sleep(POLL)
    return stored


def play(world, row):
    """Plays one row and returns its result."""
    stack = world.stack
    before = stack.emulator.stats()
    watch, since = Watch(stack), now_ms()
    try:
        row.cause(world)
        caused = now_ms()
        time.sleep(row.seconds)
        stopped = row.through and not stored_within(row.longer, stack, caused)
        idle = world.idle()
    finally:
        world.heal()
    until, healed = now_ms(), time.monotonic()
    numbers = recovered(stack, since, until)
    after = stack.emulator.stats()
    return {
        **numbers,
        "gap": round(watch.finish(), 1),
        "recovery": round(time.monotonic() - healed, 1),
        **{name: after[name] - before[name] for name in ("duplicates", "out_of_order")},
        "stopped": stopped,
        "idle": idle,
        "given_up": stack.prometheus.metric(FAILED),
        "folder": str(stack.folder.path),
    }


def say(result):
    print(json.dumps(result), flush=True)


def serve(world):
    """Plays the requested rows until the input ends or a row fails."""
    say({"ready": True})
    for line in sys.stdin:
        result = play(world, ROWS[line.strip()])
        if not result["equal"]:
            world.stack.folder.keep()
            say({**result, "tail": world.remora.tail()})
            return
        say(result)


def main():
    stop_on_signals()
    world = World()
    try:
        with world.stack:
            serve(world.begin())
    except Failure as failure:
        world.stack.folder.keep()
        say({"failure": str(failure), "folder": str(world.stack.folder.path)})


if __name__ == "__main__":
    main()
