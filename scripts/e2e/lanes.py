"""Lanes: processes that run tests at the same time.

One lane runs the tests that use the processor, one after another. The other lanes share the tests marked `beside`,
which mostly wait; each lane takes the next one when it has finished its last. Tests marked `alone`, because their time
limits are short, run when all the others have ended.
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
    """This program as a lane; its output goes to ours."""

    def _streams(self, _log):
        return {"stdin": subprocess.DEVNULL}


def add_arguments(parser):
    """The number of lanes, and the arguments of a lane."""
    parser.add_argument("--beside", type=int, default=0, metavar="N", help="N lanes for tests that may run beside others")
    parser.add_argument("--lane", choices=(ORDINARY, BESIDE, ALONE), help="be one of the lanes")
    parser.add_argument("--lane-folder", type=Path, help="what the lanes have in common")


def run_all(beside):
    """Runs this program once for each lane and returns the combined exit status."""
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
    """The suites that this process has to run, of (kind of lane, suite): all of them if there are no lanes."""
    suites = [suite for kind, suite in units if chosen.lane in (None, kind)]
    return taken(chosen.lane_folder / "next", suites) if chosen.lane == BESIDE else suites


def taken(path, suites):
    """The suites that no other lane has taken; the file contains the number of the next one."""
    while True:
        with alone(path):
            number = int(path.read_text())
            path.write_text(str(number + 1))
        if number >= len(suites):
            return
        yield suites[number]


@contextlib.contextmanager
def alone(path=Path(__file__)):
    """Locks this file or folder against other processes until the block ends."""
    lock = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
