"""What scripts/image does beside the image itself: its folder, and git."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from case import beside
from pinned import ROOT

IMAGE = ROOT / "scripts/oci/image.py"


@beside
class Oci(unittest.TestCase):
    """Any program can take the binary's place."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="remora-oci-")
        self.addCleanup(folder.cleanup)
        self.place = Path(folder.name)
        self.out = self.place / "image"

    def make(self, binary=sys.executable, **environment):
        """Puts a binary into an image in `out`."""
        command = [sys.executable, "-B", IMAGE, "--out", self.out, "--binary", f"linux/amd64=x86_64-unknown-linux-musl={binary}"]
        environment = os.environ | environment
        return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)

    def test_without_git_there_is_no_revision(self):
        for tool in ("cargo", "rustc", "objcopy"):
            (self.place / tool).symlink_to(shutil.which(tool))
        done = self.make(PATH=str(self.place))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue((self.out / "SHA256SUMS").exists())

    @unittest.skipUnless((ROOT / ".git").exists(), "not in a clone")
    def test_a_clone_that_git_refuses_to_read_is_told(self):
        self.assertIn("git cannot read this clone: fatal: ", self.make(GIT_DIR=str(self.place)).stderr)

    def test_the_folder_of_a_run_that_failed_is_used_again(self):
        self.assertNotEqual(self.make(self.place / "missing").returncode, 0)
        self.assertTrue(self.out.exists())
        done = self.make()
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_what_is_no_image_is_left_alone(self):
        self.out.write_text("file")
        for _ in range(2):
            done = self.make()
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("something other than an earlier image", done.stderr)
            self.assertNotIn("Traceback", done.stderr)
            if self.out.is_file():
                self.assertEqual(self.out.read_text(), "file")
                self.out.unlink()
                self.out.mkdir()
                (self.out / "file").write_text("file")
        self.assertEqual((self.out / "file").read_text(), "file")


if __name__ == "__main__":
    unittest.main()
