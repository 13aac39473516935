"""scripts/demo as a newcomer runs it: its numbers, and what it leaves behind."""

import json
import os
import re
import signal
import subprocess
import unittest
from pathlib import Path

from case import Case, beside, slow
from process import Failure, wait_for

DEMO = Path(__file__).resolve().parents[1] / "demo"
FOLDER_IN_COMMAND = re.compile(r"/[^\0]*/remora-demo-[^/\0]+")


def start(*flags, env=None):
    """Starts the demo in its own session, like a terminal."""
    return subprocess.Popen(
        [str(DEMO), *flags],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def without_rust():
    """The environment on a machine without Rust; the binaries that it names are already built."""
    folders = [Path(folder) for folder in os.environ["PATH"].split(os.pathsep)]
    kept = [str(folder) for folder in folders if (folder / "python3").exists() or not (folder / "cargo").exists()]
    return os.environ | {"PATH": os.pathsep.join(kept), "HOME": "/nonexistent"}


def started_at(pid):
    """The start time of a process, which distinguishes it from a later one with the same ID; None if it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *fields = stat.rsplit(")", 1)[1].split()
    return None if state in "ZX" else fields[18]


def descendants(pid):
    """{process ID: start time} of all descendants of a process."""
    children = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(status.parent.name))
    found, waiting = {}, [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found[child] = started_at(child)
            waiting.append(child)
    return found


class Demo(Case):
    """One command, honest numbers, nothing left behind."""

    def test_a_wrong_argument_is_told_before_anything_is_built(self):
        without = {name: value for name, value in os.environ.items() if name not in ("REMORA_BIN", "EMULATOR_BIN")}
        demo = start("--secnds", "20", env=without)
        _, err = demo.communicate(timeout=60)
        self.assertEqual(demo.returncode, 2, err)
        self.assertIn("--secnds", err)
        self.assertNotIn("building", err)

    def test_a_binary_that_is_not_there_is_named(self):
        demo = start(env=os.environ | {"EMULATOR_BIN": "/nonexistent"})
        _, err = demo.communicate(timeout=60)
        self.assertEqual((demo.returncode, err), (1, "demo: EMULATOR_BIN: /nonexistent is not a program\n"))

    @beside
    @slow
    def test_every_sample_arrives_with_stale_markers_and_nan(self):
        demo = start("--seconds", "20", "--json", env=without_rust())
        out, err = demo.communicate(timeout=180)
        if demo.returncode != 0:
            raise Failure(f"expected scripts/demo to exit with 0; saw {demo.returncode}\n{out}{err}")
        numbers = json.loads(out)
        self.assertGreater(numbers["samples_sent"], 3000, numbers)
        self.assertEqual(numbers["samples_sent"], numbers["samples_stored"], numbers)
        self.assertEqual([numbers[name] for name in ("samples_differing", "failed", "out_of_order")], [0] * 3, numbers)
        for name in ("requests", "stale", "nan"):
            self.assertGreater(numbers[name], 0, f"expected some {name}: {numbers}")

    def test_ctrl_c_leaves_no_process_and_no_folder_behind(self):
        self.interrupted(signal.SIGINT, 130)

    def test_sigterm_leaves_no_process_and_no_folder_behind(self):
        self.interrupted(signal.SIGTERM, 143)

    def interrupted(self, number, expected):
        """Ends a running demo by a signal to its whole process group, and checks for leftovers."""
        demo = start("--seconds", "60")
        self.addCleanup(demo.kill)
        first_progress_line(demo)
        below = descendants(demo.pid)
        self.assertGreaterEqual(len(below), 3, "expected the emulator, Remora and Prometheus to run")
        folders = {match[0] for pid in below if (match := FOLDER_IN_COMMAND.search(command_line(pid)))}
        self.assertEqual(len(folders), 1, "expected one work folder in the command lines")
        os.killpg(demo.pid, number)
        self.assertEqual(demo.wait(15), expected, "exit status of scripts/demo")
        demo.stdout.close()
        demo.stderr.close()
        wait_for("all processes of the demo to be gone", lambda: not survivors(below), 2)
        self.assertFalse(Path(folders.pop()).exists(), "expected the work folder to be removed")


def first_progress_line(demo):
    """Waits for the line that reports how much was scraped."""
    seen = []
    for line in demo.stderr:
        seen.append(line)
        if "scraped" in line:
            return
    raise Failure(f"expected a progress line; the demo ended with {demo.wait()}: {''.join(seen)}")


def command_line(pid):
    """The command line of a process, from the kernel."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def survivors(processes):
    """The processes of {ID: start time} that are still running."""
    return [pid for pid, began in processes.items() if began is not None and started_at(pid) == began]


if __name__ == "__main__":
    unittest.main()
