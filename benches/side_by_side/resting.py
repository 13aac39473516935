"""Measurements outside the cells: memory, wake-ups, start times and system calls of each contender."""

import time
from typing import NamedTuple

import load
import system_calls
from accounting import peak, resident
from cells import AES_128, Cell
from idleness import IDLE_CONNECTIONS, idle
from starting import start_times
from turns import fits

PEAK = Cell(4_000_000, 64)
PEAK_SECONDS = 2


class Rest(NamedTuple):
    """A contender: memory in bytes, wake-ups per minute, times in ms, system calls per request of 30 KB."""

    name: str
    idle: int
    beside_idle: int
    wakeups: float
    wakeups_beside: float
    peak: int
    after: int
    listening_ms: float
    forwarded_ms: float
    calls: float


def rest(contenders, ground, plan, say):
    """A Rest for each contender."""
    upstream = ground.sink.upstream(AES_128)
    say(f"idle, {plan.idle_seconds} s")
    alone = idle(contenders, ground.folder, upstream, ground.body(1_000), plan.idle_seconds)
    say(f"idle beside {IDLE_CONNECTIONS} connections, {plan.idle_seconds} s")
    beside = idle(contenders, ground.folder, upstream, ground.body(1_000), plan.idle_seconds, IDLE_CONNECTIONS)
    rows = []
    for contender in contenders:
        say(f"start, memory, system calls: {contender.name}")
        one, other = alone[contender.name], beside[contender.name]
        idleness = one.resident, other.resident, one.wakeups, other.wakeups
        rows.append(Rest(contender.name, *idleness, *_driven(contender, ground, upstream, plan)))
    return rows


def _driven(contender, ground, upstream, plan):
    """(peak, after it, to listening, to the first forwarded request, system calls)."""
    times = start_times(contender, ground.folder, upstream, ground.body(1_000), plan.starts)
    running = contender.start(ground.folder, upstream).wait_until_forwarding(ground.body(1_000))
    try:
        calls = system_calls.of_each_request(running, ground.folder, ground.bodies[30_000])
        return *_memory(running, ground), *times, calls
    finally:
        running.kill()


def _memory(running, ground):
    """(peak, a second after it) with 64 senders of 4 MB; (None, None) for a contender that is left out of that."""
    if not fits(running.contender, PEAK):
        return None, None
    load.saturate(running.port, ground.bodies[PEAK.bytes], PEAK.connections, PEAK_SECONDS)
    time.sleep(1)
    return peak(running.pid), resident(running.pid)
