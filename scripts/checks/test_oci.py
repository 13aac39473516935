"""What scripts/image does beside the image itself: its folder, and git."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from copied import ROOT, CopiedTree

REVISION = "org.opencontainers.image.revision"
IMAGE = ROOT / "scripts/oci/image.py"


class Oci(CopiedTree):
    """Any program can take the binary's place."""

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="remora-oci-")
        self.addCleanup(folder.cleanup)
        self.place = Path(folder.name)
        self.out = self.place / "image"

    def make(self, binary=sys.executable, **environment):
        """Puts a binary into an image in `out`."""
        command = [sys.executable, "-B", IMAGE, "--out", self.out, "--binary", f"linux/amd64=x86_64-unknown-linux-musl={binary}"]
        environment = os.environ | environment
        return subprocess.run(command, env=environment, cwd=self.tree, capture_output=True, text=True, check=False)

    def revision(self, **environment):
        """The revision in the labels of an image; None if there is none."""
        done = self.make(**environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("git", done.stderr)
        entries = json.loads((self.out / "layout/index.json").read_text())["manifests"]
        algorithm, digest = entries[0]["digest"].split(":")
        labels = json.loads((self.out / "layout/blobs" / algorithm / digest).read_text())["annotations"]
        self.assertIn("org.opencontainers.image.version", labels)
        return labels.get(REVISION)

    def git(self, *words):
        """git's output in the tree."""
        author = ["-c", "user.name=Someone", "-c", "user.email=someone@example.com", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *author, *words], cwd=self.tree, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def clone(self):
        """Makes the tree a clone with one commit."""
        self.git("init", "--quiet")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "One")

    def test_the_revision_is_that_of_the_commit(self):
        self.clone()
        head = self.git("rev-parse", "HEAD")
        self.assertEqual(self.revision(), head)
        self.append("Cargo.toml", "\n")
        self.assertEqual(self.revision(), f"{head}-changed")

    def test_without_git_there_is_no_revision(self):
        self.clone()
        for tool in ("cargo", "rustc", "objcopy"):
            (self.place / tool).symlink_to(shutil.which(tool))
        self.assertIsNone(self.revision(PATH=str(self.place)))

    def test_a_tree_in_the_clone_of_another_project_has_no_revision(self):
        self.clone()
        inner = self.tree / "inner"
        files = [path for path in self.tree.iterdir() if path.name != ".git"]
        inner.mkdir()
        for path in files:
            path.rename(inner / path.name)
        self.tree = inner
        self.assertIsNone(self.revision())

    def test_a_clone_that_git_refuses_to_read_is_told(self):
        self.clone()
        done = self.make(GIT_DIR=str(self.place), LC_ALL="C.UTF-8")
        self.assertIn("git cannot read this clone: fatal: ", done.stderr)

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
