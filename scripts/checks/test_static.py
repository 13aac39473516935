"""The check of the shipped binary refuses what would not run in an empty image, and what it cannot read."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

STATIC = Path(__file__).resolve().parent / "static"


class Static(unittest.TestCase):
    """Each file is refused with its reason."""

    def assert_refused(self, path, reason):
        """The check fails and says why."""
        done = subprocess.run([str(STATIC), str(path)], capture_output=True, text=True, check=False)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertIn(reason, done.stdout + done.stderr)

    def test_a_program_with_a_loader(self):
        self.assert_refused(os.path.realpath(sys.executable), "needs a dynamic loader")

    def test_a_file_that_is_no_program(self):
        self.assert_refused(__file__, "Not an ELF file")

    def test_an_empty_file(self):
        with tempfile.NamedTemporaryFile() as empty:
            self.assert_refused(empty.name, "readelf")


if __name__ == "__main__":
    unittest.main()
