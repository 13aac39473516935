"""Lanes: processes that run tests at the same time.

One lane has the tests that use the processor, one after the other. Two or more share the tests that are marked as
`beside`, which mostly wait; each takes the next one when it is done with its last. What is marked as `alone`, because its
limits are short times, comes when all of them have ended.
"""

import contextlib
import fcntl
import os
import subprocess
import sys
from pathlib import Path

from process import Dialogue, WorkFolder

ORDINARY, BESIDE, ALONE = "ordinary", "beside", "alone"


class Lane(Dialogue):
    """This very program as a lane; what it prints goes where ours goes."""

    def _streams(self, _log):
        return {"stdin": subprocess.DEVNULL}


def add_arguments(parser):
    """How many lanes there are, and what a lane is told."""
    parser.add_argument("--beside", type=int, default=0, metavar="N", help="N lanes for tests that may run beside others")
    parser.add_argument("--lane", choices=(ORDINARY, BESIDE, ALONE), help="be one of the lanes")
    parser.add_argument("--lane-folder", type=Path, help="what the lanes have in common")


def run_all(beside):
    """Runs this program once for each lane; the exit status of all together."""
    folder = WorkFolder("lanes")
    (folder.path / "next").write_text("0")

    def start(number, kind):
        words = [sys.executable, "-B", *sys.argv, "--lane", kind, "--lane-folder", folder.path]
        environment = {**os.environ, "REMORA_E2E_LANE": f"{number} {beside + 1}"}
        return Lane(f"the lane {kind}", words, folder.path / "log", environment).start()

    together = [start(0, ORDINARY), *(start(number, BESIDE) for number in range(1, beside + 1))]
    ended = [lane.wait(None) for lane in together]
    ended.append(start(0, ALONE).wait(None))
    return int(any(ended))


def mine(chosen, units):
    """The suites that this process has to run, of (kind of lane, suite): all of them where there are no lanes."""
    suites = [suite for kind, suite in units if chosen.lane in (None, kind)]
    return taken(chosen.lane_folder / "next", suites) if chosen.lane == BESIDE else suites


def taken(path, suites):
    """The suites that no other lane has taken; the file has the number of the next."""
    while True:
        with alone(path):
            number = int(path.read_text())
            path.write_text(str(number + 1))
        if number >= len(suites):
            return
        yield suites[number]


@contextlib.contextmanager
def alone(path=Path(__file__)):
    """Waits for other processes that lock this file or folder, and keeps them out until the block ends."""
    lock = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
