"""Lanes: processes that run tests at the same time.

One lane runs the tests that use the processor, one after another. The other lanes share the tests marked `beside`,
which mostly wait; each lane takes the next one when it has finished its last. Tests marked `alone`, because their time
limits are short, run when all the others have ended; `--part` leaves them out, or all the others.
"""

import contextlib
import fcntl
import os
import subprocess
import sys
from pathlib import Path

from case import seconds
from process import LANE, Dialogue, Failure, WorkFolder

ORDINARY, BESIDE, ALONE = "ordinary", "beside", "alone"
# The parts of a run.
TOGETHER = "together"
# Far more than a lane takes. How long the soak takes is the caller's choice.
MOST_SECONDS = None if "REMORA_E2E_SOAK" in os.environ else seconds(3600, 6 * 3600)


class Lane(Dialogue):
    """This program as a lane; its output goes to ours, and its log names the tests that it has begun."""

    def _streams(self, _log):
        return {"stdin": subprocess.DEVNULL}


def add_arguments(parser):
    """The number of lanes, and the arguments of a lane."""
    parser.add_argument("--beside", type=int, default=0, metavar="N", help="N lanes for tests that may run beside others")
    parser.add_argument("--part", choices=(TOGETHER, ALONE), help="only tests that do, or do not, run alone")
    parser.add_argument("--lane", choices=(ORDINARY, BESIDE, ALONE), help="be one of the lanes")
    parser.add_argument("--lane-folder", type=Path, help="what the lanes have in common")


def in_part(part, units):
    """The units, of (kind of lane, suite), that belong to a part, or all of them."""
    return [unit for unit in units if part is None or (unit[0] == ALONE) == (part == ALONE)]


def run_all(beside, kinds):
    """Runs this program once for each lane of these kinds that is needed and returns the combined exit status. A lane that hangs is named, with its
    last tests."""
    folder = WorkFolder("lanes")
    (folder.path / "next").write_text("0")

    def start(number, kind):
        words = [sys.executable, "-B", *sys.argv, "--lane", kind, "--lane-folder", folder.path]
        environment = {**os.environ, "REMORA_E2E_LANE": f"{number} {beside + 1}"}
        return Lane(f"the lane {kind}", words, log(folder.path, number), environment).start()

    try:
        together = [start(0, ORDINARY)] if ORDINARY in kinds else []
        if BESIDE in kinds:
            together += [start(number, BESIDE) for number in range(1, beside + 1)]
        ended = [lane.wait(MOST_SECONDS) for lane in together]
        if ALONE in kinds:
            ended.append(start(0, ALONE).wait(MOST_SECONDS))
    except Failure as failure:
        folder.keep()
        print(f"FAIL {failure}", flush=True)
        return 1
    return int(any(ended))


def log(folder, number):
    """Where a lane names its tests."""
    return folder / f"{number}.log"


def begin(chosen, name):
    """Tells the process that started this lane which test begins."""
    if chosen.lane is not None:
        with open(log(chosen.lane_folder, LANE), "a", encoding="utf-8") as file:
            file.write(f"{name}\n")


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
