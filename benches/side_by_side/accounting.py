"""What the kernel has recorded about a process: processor time, memory, wake-ups."""

import re
from pathlib import Path

from remora import resident_bytes


def processor_us(pid):
    """Processor time of all existing threads, user and system, in µs (Documentation/scheduler/sched-stats.rst)."""
    return sum(int(text.split()[0]) for text in _of_threads(pid, "schedstat")) / 1000


def wakeups(pid):
    """How often threads went to sleep voluntarily, which is how often they woke."""
    return sum(_voluntary(text) for text in _of_threads(pid, "status"))


def resident(pid):
    """Resident memory in bytes."""
    return resident_bytes(pid)


def peak(pid):
    """Peak resident memory in bytes."""
    return resident_bytes(pid, "VmHWM")


def _voluntary(status):
    found = re.search(r"^voluntary_ctxt_switches:\s+(\d+)$", status, re.MULTILINE)
    return int(found[1]) if found else 0


def _of_threads(pid, name):
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        try:
            yield (thread / name).read_text()
        except OSError:
            # The thread has ended in the meantime.
            continue
