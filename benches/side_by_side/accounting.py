"""What the kernel has recorded about a process: processor time, memory, wake-ups."""

import re
from pathlib import Path

from remora import resident_bytes


def processor_us(pid):
    """Processor time of all existing threads, user and system, in µs (Documentation/scheduler/sched-stats.rst)."""
    return sum(int(text.split()[0]) for text in _of_threads(pid, "schedstat").values()) / 1000


def wakeups(pid):
    """{thread: how often it went to sleep voluntarily, which is how often it woke}."""
    return {thread: _voluntary(text) for thread, text in _of_threads(pid, "status").items()}


def woken(before, after):
    """How often a process woke between two `wakeups`; threads that have ended since do not count."""
    return sum(count - before.get(thread, 0) for thread, count in after.items())


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
    """{thread: the text of its file of that name}."""
    found = {}
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        try:
            found[thread.name] = (thread / name).read_text()
        except OSError:
            # The thread has ended in the meantime.
            continue
    return found
