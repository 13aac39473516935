"""The load: wrk at the limit, `pace` at a fixed rate; both are separate processes, whose time is not counted."""

import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from figures import median, percentile
from process import Failure
from programs import program

PATH = "/api/v1/write"
_UNITS = {"us": 1, "ms": 1000, "s": 1_000_000, "m": 60_000_000}

# The headers that Prometheus sends with the body.
SCRIPT = """\
local file = io.open("{body}", "rb")
wrk.body = file:read("*a")
file:close()
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/x-protobuf"
wrk.headers["Content-Encoding"] = "snappy"
wrk.headers["X-Prometheus-Remote-Write-Version"] = "0.1.0"
wrk.headers["User-Agent"] = "Prometheus/2.42.0"
"""


class Load(NamedTuple):
    """wrk's figures: accepted and refused requests, accepted requests per second, median latency in µs."""

    accepted: int
    refused: int
    rate: float
    median_us: float


def read(text):
    """wrk's output as a Load."""
    done = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m)\b", text)
    middle = re.search(r"^\s+50%\s+([\d.]+)(us|ms|s|m)\s*$", text, re.MULTILINE)
    if not done or not middle:
        raise Failure(f"expected wrk's figures; saw: {text}")
    refused = _refused(text)
    seconds = float(done[2]) * _UNITS[done[3]] / 1_000_000
    accepted = int(done[1]) - refused
    return Load(accepted, refused, accepted / seconds, float(middle[1]) * _UNITS[middle[2]])


def _refused(text):
    found = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    return int(found[1]) if found else 0


def saturate(port, body, connections, seconds):
    """Sends as many requests as possible in that time, one at a time on each connection."""
    script = Path(body).with_suffix(".lua")
    script.write_text(SCRIPT.format(body=body))
    command = [program("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "--latency"]
    return read(_printed([*command, "-s", script, f"http://127.0.0.1:{port}{PATH}"], seconds + 60))


class Paced(NamedTuple):
    """Latencies in µs, and the number of requests."""

    requests: int
    median_us: float
    p99_us: float


def pace(port, body, rate, seconds, connections=4):
    """Sends requests at a fixed rate; a Failure when one of them is refused."""
    command = [Path(os.environ["BENCH_BIN_DIR"]) / "pace", f"127.0.0.1:{port}", PATH, body, rate, seconds, connections]
    latencies = [float(line) for line in _printed(command, seconds + 60).split()]
    return Paced(len(latencies), median(latencies), percentile(latencies, 99))


def _printed(command, seconds):
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=seconds, check=False)
    if done.returncode != 0:
        raise Failure(f"expected {words[0]} to end well; it said: {done.stdout}{done.stderr}")
    return done.stdout
