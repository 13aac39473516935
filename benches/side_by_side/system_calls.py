"""System calls per request, counted by strace while one sender posts."""

import re
import signal
import time

import load
from process import Failure, Process, wait_for
from programs import program

# Long enough for what a new connection costs not to matter.
SECONDS = 3


def count(text):
    """Calls in a table of `strace -c`: rows are % time, seconds, µs each, calls, errors (may be empty), name."""
    rows = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?([a-z_]\w*)$", text, re.MULTILINE)
    if not rows:
        raise Failure(f"expected a table of system calls; saw: {text}")
    return sum(int(calls) for calls, name in rows if name != "total")


def of_each_request(running, folder, body):
    """The number of calls per request, on one connection at its limit."""
    table = folder / f"{running.contender.name}.calls"
    command = [program("strace"), "-c", "-f", "-p", running.pid, "-o", table]
    tracer = Process("strace", command, folder / "strace.log").start()
    wait_for("strace to attach", lambda: "attached" in tracer.output(), 10, process=tracer)
    try:
        time.sleep(0.1)
        seen = load.saturate(running.port, body, 1, SECONDS)
    finally:
        tracer.signal(signal.SIGINT)
        tracer.wait(20)
    return count(table.read_text()) / seen.accepted if seen.accepted else None
