"""The statistics of interleaved turns, and the formatting of numbers. Pure functions."""

import statistics

YARDSTICK = "nginx"
FLOOR = "floor"


def median(values):
    """The median; None if there are no values."""
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def percentile(values, percent):
    """The value that `percent` percent of the values do not exceed (nearest rank); None if there are no values."""
    ranked = sorted(values)
    return ranked[max(0, -(-len(ranked) * percent // 100) - 1)] if ranked else None


def ratio(value, base):
    """value / base; None if either is missing or the base is 0."""
    return value / base if value is not None and base else None


def median_ratio(turns, name, pick, base=YARDSTICK):
    """The median of a contender's ratios to `base`, each within one turn, so that a disturbance of a turn affects both.

    `turns` is a list of {contender: measured}; `pick` takes the number from a measurement.
    """
    both = [turn for turn in turns if name in turn and base in turn]
    return median(ratio(pick(turn[name]), pick(turn[base])) for turn in both)


def median_of(turns, name, pick):
    """The median of a contender's numbers."""
    return median(pick(turn[name]) for turn in turns if name in turn)


def size(number):
    """Bytes in readable form: 30 KB, 4 MB."""
    return f"{number // 1_000_000} MB" if number >= 1_000_000 else f"{number // 1000} KB"


def figure(value, digits=0):
    """A number for a table; an empty cell for None."""
    return "" if value is None else f"{value:,.{digits}f}"
