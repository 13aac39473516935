"""The check for panics detects them: each test inserts one into a copy of core."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from copied import ROOT, WORKSPACE, CopiedTree

NO_PANIC = ROOT / "scripts/checks/no-panic"


class NoPanic(CopiedTree):
    """Each panic is reported with the function that leads to it."""

    copied = [*WORKSPACE, "scripts/checks/bare"]

    @classmethod
    def setUpClass(cls):
        # One target folder for all copies, so that core's dependencies are built once.
        cls.target = tempfile.mkdtemp(prefix="remora-no-panic-target-")
        cls.addClassCleanup(shutil.rmtree, cls.target, ignore_errors=True)

    def check(self):
        """(exit status, output) of the check on the copy."""
        command = [sys.executable, str(NO_PANIC), "--root", str(self.tree)]
        environment = os.environ | {"CARGO_TARGET_DIR": self.target}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def add_to_core(self, body):
        """Adds a function of bytes and a number with this body to core, and a caller for it."""
        signature = "(bytes: &[u8], number: usize) -> u8"
        self.append("core/src/time.rs", f"\n/// Inserted.\npub fn inserted{signature} {{ {body} }}\n")
        call = "crate::outside::look_at(remora_core::time::inserted(&space[..], crate::outside::count()).into())"
        caller = f'#[unsafe(no_mangle)] extern "C" fn inserted(space: &[u8; 64]) {{ {call} }}'
        self.append("scripts/checks/bare/src/token.rs", f"\n{caller}\n")

    def assert_breach(self, expected):
        """The check fails with `expected` in its output."""
        status, output = self.check()
        self.assertEqual(status, 1, f"expected exit status 1 for a panic, saw {status} with: {output}")
        self.assertIn(expected, output)

    def test_core_as_it_is_has_no_panic(self):
        self.assertEqual(self.check(), (0, ""))

    def test_an_index(self):
        self.add_to_core("bytes[number]")
        self.assert_breach("inserted goes to core::panicking::panic_bounds_check")

    def test_a_slice(self):
        self.add_to_core("bytes[number..].len() as u8")
        self.assert_breach("inserted goes to core::slice::index::slice_index_fail")

    def test_an_expectation(self):
        self.add_to_core('*bytes.get(number).expect("a byte")')
        self.assert_breach("inserted goes to core::option::expect_failed")

    def test_a_division(self):
        self.add_to_core("(64 / number) as u8")
        self.assert_breach("inserted goes to core::panicking::panic_const::panic_const_div_by_zero")

    def test_an_index_out_of_all_reach_is_no_panic(self):
        self.add_to_core("if number < bytes.len() { bytes[number] } else { 0 }")
        self.assertEqual(self.check(), (0, ""))

    def test_an_entry_that_is_not_called(self):
        path = self.tree / "scripts/checks/bare/src/frame.rs"
        path.write_text(path.read_text().replace('extern "C" fn media(', 'extern "C" fn other('))
        self.assert_breach("scripts/checks/bare: media is not in the library")


if __name__ == "__main__":
    unittest.main()
