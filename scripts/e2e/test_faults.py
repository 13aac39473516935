"""The fault matrix: a real Prometheus writes while something is broken, and every sample is stored afterwards."""

import json
import os
import sys
import unittest
from pathlib import Path

from case import Case, long, slow
from faults.rows import ROWS
from namespaces import unshare
from process import Dialogue, Failure, WorkFolder

MATRIX = Path(__file__).resolve().parent / "faults" / "matrix.py"
START_SECONDS, ROW_SECONDS = 90, 200


class Matrix:
    """The process with the namespaces, which plays the rows."""

    def __init__(self):
        self.folder = WorkFolder("matrix")
        command = [*unshare("--net", "--mount"), sys.executable, "-B", str(MATRIX)]
        self._process = Dialogue("matrix", command, self.folder.path / "matrix.log", dict(os.environ))

    def start(self):
        """Waits until its stack is up."""
        self._process.start()
        self._hear(START_SECONDS)
        return self

    def play(self, name):
        """The result of a row."""
        self._process.tell(name)
        return self._hear(ROW_SECONDS)

    def stop(self):
        """Stops it together with everything in its namespaces."""
        self._process.kill()
        self.folder.remove()

    def _hear(self, seconds):
        try:
            said = json.loads(self._process.hear(seconds))
        except Failure:
            self.folder.keep()
            raise
        if "failure" in said:
            raise Failure(f"{said['failure']}\nlogs: {said['folder']}")
        return said


class Faults(Case):
    """One stack for all rows; after a failed row the next one gets a new stack."""

    matrix = None

    @classmethod
    def tearDownClass(cls):
        cls.forget()

    @classmethod
    def forget(cls):
        """Stops the stack."""
        if cls.matrix is not None:
            cls.matrix.stop()
            cls.matrix = None

    def play(self, name):
        """Plays a row and judges it."""
        cls = type(self)
        try:
            cls.matrix = cls.matrix or Matrix().start()
            self.judge(cls.matrix.play(name))
        except BaseException:
            cls.forget()
            raise

    def judge(self, seen):
        """Everything that Prometheus held at the end of the fault is stored in order, and it gave nothing up."""
        print(
            f"       sent {seen['sent']:,} = stored {seen['stored']:,}, duplicates {seen['duplicates']:,}, longest gap "
            f"{seen['gap']} s, all stored {seen['recovery']} s after the fault",
            flush=True,
        )
        if seen["idle"]:
            raise Failure(f"expected the fault to act; these met nothing: {seen['idle']}")
        if not seen["equal"] or not seen["sent"] or seen["out_of_order"] or seen["given_up"] or seen["stopped"]:
            raise Failure(
                f"expected samples, none missing, different, out of order or given up, and some stored before a fault ends "
                f"that need not stop them; saw {seen}\n{seen.get('tail', '')}"
            )


def test_of(row):
    """A test for a row of the matrix."""

    def test(self):
        self.play(row.name)

    return slow(test) if row.quick else long(test)


for _row in ROWS.values():
    setattr(Faults, f"test_{_row.name.replace(' ', '_')}", test_of(_row))


if __name__ == "__main__":
    unittest.main()
