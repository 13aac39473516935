"""The core under another driver: threads and blocking sockets instead of smol."""

import os
import subprocess
import unittest
from pathlib import Path

from case import Case
from emulator import Emulator
from process import Failure, WorkFolder

BODIES = sorted((Path(__file__).parents[2] / "core" / "tests" / "vectors").glob("prometheus-*.snappy"))


class SecondRuntime(Case):
    """core/examples/blocking.rs forwards real bodies."""

    def setUp(self):
        self.folder = WorkFolder("second-runtime")
        self.emulator = Emulator(self.folder.path).start()
        self.addCleanup(self.emulator.process.kill)

    def test_threads_and_blocking_sockets_forward_real_bodies(self):
        # The bodies are older than Azure accepts.
        self.emulator.ask("/settings", {"sample_window_s": 0})
        command = [os.environ["BLOCKING_BIN"], self.emulator.folder / "env", *BODIES]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            saw = f"{done.returncode}\n{done.stdout}{done.stderr}"
            raise Failure(f"expected every body to be accepted; saw status {saw}")
        expected = sum(int(body.stem.split("-")[2]) for body in BODIES)
        self.assertGreater(expected, 0, "expected bodies in core/tests/vectors")
        stats = self.emulator.stats()
        self.assertEqual(stats["samples"] + stats["duplicates"], expected, "samples stored")


if __name__ == "__main__":
    unittest.main()
