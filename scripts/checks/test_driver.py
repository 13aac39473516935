"""scripts/test itself: what it says about a check that cannot run."""

import os
import subprocess
import unittest

from case import beside
from pinned import ROOT


@beside
class Driver(unittest.TestCase):
    """It runs itself with a few checks."""

    def test_a_check_that_lacks_a_tool_fails_with_its_log(self):
        command = [ROOT / "scripts/test", "--only", "static binary"]
        environment = os.environ | {"REMORA_BIN": "/nonexistent"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stdout, r"FAIL build: remora .*\n +test: REMORA_BIN: /nonexistent is not a program\n")
        self.assertRegex(done.stdout, r"\n0 passed, \d failed\n$")


if __name__ == "__main__":
    unittest.main()
