"""Contenders take turns under load, in a new order each time; ratios are computed within each turn."""

import random
from functools import partial
from typing import NamedTuple

import load
from accounting import processor_us
from figures import FLOOR, median_of, median_ratio

# vmagent holds what it has accepted, which takes gigabytes beyond this many bytes in flight.
VMAGENT_BYTES = 100_000_000
# Seconds of load before the first turn.
WARM_UP = 1
# The name, among the contenders, of the sink without a proxy.
ALONE = "sink alone"


class Measured(NamedTuple):
    """A turn of one contender: processor time per accepted request in µs, and what its senders saw."""

    cpu_us: float
    seen: tuple
    added_us: float = None


class Row(NamedTuple):
    """A contender in a cell, over all turns."""

    name: str
    cpu_us: float
    cpu_ratio: float
    floor_ratio: float
    rate: float
    median_us: float
    refused: int


class PacedRow(NamedTuple):
    """A contender at a fixed rate, over all turns; `added_us` is its median minus that of the sink alone."""

    name: str
    cpu_us: float
    cpu_ratio: float
    floor_ratio: float
    added_us: float
    added_ratio: float
    median_us: float
    p99_us: float


def fits(contender, cell):
    """Whether a contender takes part in a cell."""
    return contender.name != "vmagent" or cell.bytes * cell.connections <= VMAGENT_BYTES


def interleaved(calls, turns):
    """[{name: measured}] of {name: call}: every turn calls each of them once, in random order."""
    return [{name: calls[name]() for name in random.sample(list(calls), len(calls))} for _ in range(turns)]


def of_process(running, drive):
    """(processor time in µs, what the load saw) while `drive` runs."""
    before = processor_us(running.pid)
    seen = drive()
    running.contender.settle(running)
    return processor_us(running.pid) - before, seen


def saturated(running, cell, body, plan):
    """Rows of a cell, in the contenders' order."""

    def once(one, seconds=plan.seconds * cell.stretch):
        spent, seen = of_process(one, lambda: load.saturate(one.port, body, cell.connections, seconds))
        return Measured(spent / seen.accepted if seen.accepted else None, seen)

    for one in running:
        once(one, WARM_UP)
    turns = interleaved({one.contender.name: partial(once, one) for one in running}, plan.turns_of(cell))
    return [saturated_row(one.contender.name, turns) for one in running]


def saturated_row(name, turns):
    """What the turns of a contender come to."""
    return Row(
        name,
        median_of(turns, name, lambda turn: turn.cpu_us),
        median_ratio(turns, name, lambda turn: turn.cpu_us),
        median_ratio(turns, name, lambda turn: turn.cpu_us, FLOOR),
        median_of(turns, name, lambda turn: turn.seen.rate),
        median_of(turns, name, lambda turn: turn.seen.median_us),
        sum(turn[name].seen.refused for turn in turns),
    )


def paced(running, pace, body, plan, plain_port):
    """Rows at a fixed rate. Added latency is compared with that of the sink alone, without TLS, in the same turn."""

    def drive(port):
        return load.pace(port, body, pace.rate, plan.pace_seconds)

    def once(one):
        spent, seen = of_process(one, lambda: drive(one.port))
        return Measured(spent / seen.requests, seen)

    calls = {one.contender.name: partial(once, one) for one in running}
    calls[ALONE] = lambda: Measured(None, drive(plain_port))
    turns = [with_added(turn) for turn in interleaved(calls, plan.pace_turns)]
    return [paced_row(one.contender.name, turns) for one in running]


def with_added(turn):
    """The turn with the latency that each proxy adds to the sink's median."""
    alone = turn[ALONE].seen.median_us
    return {name: one._replace(added_us=one.seen.median_us - alone) for name, one in turn.items()}


def paced_row(name, turns):
    """What the turns of a contender come to."""
    return PacedRow(
        name,
        median_of(turns, name, lambda turn: turn.cpu_us),
        median_ratio(turns, name, lambda turn: turn.cpu_us),
        median_ratio(turns, name, lambda turn: turn.cpu_us, FLOOR),
        median_of(turns, name, lambda turn: turn.added_us),
        median_ratio(turns, name, lambda turn: turn.added_us),
        median_of(turns, name, lambda turn: turn.seen.median_us),
        median_of(turns, name, lambda turn: turn.seen.p99_us),
    )
