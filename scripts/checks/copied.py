"""A copy of the tree to break: shared by the tests of the checks."""

import shutil
import tempfile
import unittest
from pathlib import Path

from case import beside

ROOT = Path(__file__).resolve().parents[2]
# Cargo requires all members of the workspace.
WORKSPACE = ["Cargo.toml", "Cargo.lock", "core", "runtime-smol", "bin", "benches"]


@beside
class CopiedTree(unittest.TestCase):
    """Each test has its own copy in `self.tree`."""

    copied = WORKSPACE

    def setUp(self):
        self.tree = Path(tempfile.mkdtemp(prefix="remora-copy-"))
        self.addCleanup(shutil.rmtree, self.tree, ignore_errors=True)
        for name in self.copied:
            (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, self.tree / name, ignore=shutil.ignore_patterns("target"))
            else:
                shutil.copy(ROOT / name, self.tree / name)

    def append(self, path, text):
        """Appends text to a file, or creates the file."""
        with open(self.tree / path, "a", encoding="utf-8") as file:
            file.write(text)
