"""The promise of a Rust version is kept: the check and the lint detect violations."""

import os
import subprocess
import sys
import tempfile
import unittest

from copied import ROOT, CopiedTree

MSRV = ROOT / "scripts/checks/msrv"


class Msrv(CopiedTree):
    """Each test breaks a copy of the tree."""

    copied = [*CopiedTree.copied, "clippy.toml"]

    def check(self):
        """(exit status, output) of the check on the copy."""
        command = [sys.executable, str(MSRV), "--root", str(self.tree)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def promise(self, version):
        """Makes the workspace promise another version."""
        path = self.tree / "Cargo.toml"
        path.write_text(path.read_text().replace('rust-version = "1.88"', f'rust-version = "{version}"'))

    def test_the_tree_as_it_is_keeps_it(self):
        self.assertEqual(self.check(), (0, ""))

    def test_a_dependency_that_needs_more(self):
        self.promise("1.85")
        status, said = self.check()
        self.assertEqual(status, 1)
        self.assertRegex(said, r"\S+ \S+: needs Rust 1\.8\S+; 1\.85 is promised")

    def test_a_package_that_declares_nothing(self):
        path = self.tree / "core/Cargo.toml"
        path.write_text(path.read_text().replace("rust-version.workspace = true\n", ""))
        status, said = self.check()
        self.assertEqual((status, said), (1, "remora-core: declares Rust None, the workspace 1.88\n"))

    def test_clippy_sees_a_function_that_came_later(self):
        # u8::strict_add was stabilized in Rust 1.91.
        self.append("core/src/time.rs", "\n/// Inserted.\npub fn inserted(a: u8) -> u8 { a.strict_add(1) }\n")
        with tempfile.TemporaryDirectory(prefix="remora-msrv-target-") as target:
            command = ["cargo", "clippy", "--locked", "-p", "remora-core", "--lib", "--", "-D", "warnings"]
            environment = os.environ | {"CARGO_TARGET_DIR": target}
            done = subprocess.run(command, cwd=self.tree, env=environment, capture_output=True, text=True, check=False)
        self.assertIn("current MSRV (Minimum Supported Rust Version) is `1.88.0`", done.stderr)


if __name__ == "__main__":
    unittest.main()
