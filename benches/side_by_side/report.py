"""The results as Markdown and as CSV. Pure functions; machine and versions are passed in."""

import csv
import io
from typing import NamedTuple

from figures import figure

MEBIBYTE = 1024 * 1024


class Results(NamedTuple):
    """The measurements: {cell: [Row]}, {pace: [PacedRow]}, [Rest]."""

    saturated: dict
    paced: dict
    rest: list


def table(titles, rows):
    """A Markdown table; the first column is text, the others are numbers."""
    lines = [titles, ["---", *["---:"] * (len(titles) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def markdown(results, facts, about, pictures):
    """The report. `facts` are (name, value) pairs about machine and run, `about` has (name, sentence) for each
    contender."""
    parts = ["# Remora beside other proxies\n", "".join(f"- {what}: {value}\n" for what, value in facts)]
    parts.append(table(["contender", "what it is"], about).replace("---: |\n", "--- |\n", 1))
    for name, rows in results.saturated.items():
        parts += [f"## {name}\n", *pictures.get(name, ()), saturated_table(rows)]
    for name, rows in results.paced.items():
        parts += [f"## {name}\n", *pictures.get(name, ()), paced_table(rows)]
    if results.rest:
        parts += ["## At rest, at the start, and at the most\n", rest_table(results.rest)]
    return "\n".join(parts)


def saturated_table(rows):
    """A cell."""
    titles = ["contender", "CPU µs a request", "x nginx", "x floor", "requests/s", "median latency µs", "refused"]
    return table(
        titles,
        [
            [
                row.name,
                figure(row.cpu_us, 1),
                figure(row.cpu_ratio, 2),
                figure(row.floor_ratio, 2),
                figure(row.rate),
                figure(row.median_us),
                figure(row.refused or None),
            ]
            for row in rows
        ],
    )


def paced_table(rows):
    """A cell at a fixed rate."""
    titles = ["contender", "CPU µs a request", "x nginx", "x floor", "added median µs", "x nginx", "median µs", "p99 µs"]
    return table(
        titles,
        [
            [
                row.name,
                figure(row.cpu_us, 1),
                figure(row.cpu_ratio, 2),
                figure(row.floor_ratio, 2),
                figure(row.added_us),
                figure(row.added_ratio, 2),
                figure(row.median_us),
                figure(row.p99_us),
            ]
            for row in rows
        ],
    )


REST_TITLES = (
    "contender",
    "idle RSS MiB",
    "with 1,000 idle connections",
    "peak at 64 × 4 MB",
    "a second later",
    "wake-ups a minute",
    "with 1,000 idle connections",
    "ms to listening",
    "ms to the first forwarded",
    "system calls, 30 KB",
)


def rest_table(rows):
    """Measurements outside the cells."""
    return table(list(REST_TITLES), [_rest_line(row) for row in rows])


def _rest_line(row):
    memory = [figure(_mebibytes(value), 1) for value in (row.idle, row.beside_idle, row.peak, row.after)]
    waking = [figure(value) for value in (row.wakeups, row.wakeups_beside)]
    times = [figure(value, 1) for value in (row.listening_ms, row.forwarded_ms, row.calls)]
    return [row.name, *memory, *waking, *times]


def _mebibytes(value):
    return None if value is None else value / MEBIBYTE


def comma_separated(results):
    """One line per number: part, contender, measure, value."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["part", "contender", "measure", "value"])
    parts = [*results.saturated.items(), *results.paced.items(), ("at rest", results.rest)]
    for part, rows in parts:
        for row in rows:
            numbers = row._asdict()
            name = numbers.pop("name")
            lines.writerows([part, name, measure, _plain(value)] for measure, value in numbers.items())
    return text.getvalue()


def _plain(value):
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else value
