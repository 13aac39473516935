"""The check of the walls detects breaches: each test inserts one into a copy of the tree."""

import subprocess
import sys
import unittest

from copied import ROOT, CopiedTree

WALLS = ROOT / "scripts/checks/walls"


class Walls(CopiedTree):
    """Each breach is reported with its location."""

    def check(self):
        """(exit status, output) of the check on the copy."""
        command = [sys.executable, str(WALLS), "--root", str(self.tree)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def assert_breach(self, expected):
        """The check fails with `expected` in its output."""
        status, output = self.check()
        self.assertEqual(status, 1, f"expected exit status 1 for a breach, saw {status} with: {output}")
        self.assertIn(expected, output)

    def add_dependency(self, manifest, line):
        """Adds one dependency to a manifest and updates the copy's lock file."""
        path = self.tree / manifest
        text = path.read_text()
        path.write_text(text.replace("\n[dependencies]\n", f"\n[dependencies]\n{line}\n", 1))
        command = ["cargo", "update", "--offline", "--quiet", "--workspace"]
        subprocess.run(command, cwd=self.tree, check=True, capture_output=True)

    def test_the_tree_as_it_is_has_no_breach(self):
        status, output = self.check()
        self.assertEqual((status, output), (0, ""))

    def test_a_module_of_the_product_is_not_taken_for_a_tests(self):
        path = self.tree / "runtime-smol/src/drive.rs"
        path.write_text(path.read_text().replace("#[cfg(test)]\nmod tests;", "mod tests;"))
        self.assert_breach("runtime-smol/src/drive/tests.rs")

    def test_std_in_core(self):
        self.append("core/src/time.rs", "\nfn now() -> std::time::Instant { std::time::Instant::now() }\n")
        self.assert_breach("`std::` has no place in core")

    def test_alloc_in_core(self):
        self.append("core/src/lib.rs", "\nextern crate alloc;\n")
        self.assert_breach("`extern crate alloc` has no place in core")

    def test_unsafe_in_core(self):
        self.append("core/src/time.rs", "\nfn peek(p: *const u8) -> u8 { unsafe { *p } }\n")
        self.assert_breach("`unsafe` has no place in core")

    def test_std_in_a_test_or_a_comment_of_core_is_no_breach(self):
        self.append("core/src/time.rs", "\n// not std::time\n#[cfg(test)]\nmod walls { use std::vec::Vec; }\n")
        self.assertEqual(self.check(), (0, ""))

    def test_another_dependency_of_core(self):
        self.add_dependency("core/Cargo.toml", "serde_json.workspace = true")
        self.assert_breach("core/Cargo.toml: depends on serde_json")

    def test_emulator_that_leans_on_remora(self):
        self.add_dependency("bin/azure-emulator/Cargo.toml", "remora-core.workspace = true")
        self.assert_breach("azure-emulator: depends on remora-core")

    def test_header_name_in_the_runtime(self):
        self.append("runtime-smol/src/lib.rs", '\nconst FIELD: &str = "Retry-After";\n')
        self.assert_breach("HTTP wording 'Retry-After' belongs to core")

    def test_status_code_in_the_runtime(self):
        self.append("runtime-smol/src/lib.rs", "\nfn refused(status: u16) -> bool { status == 429 }\n")
        self.assert_breach("status code 429 belongs to core")

    def test_status_code_in_the_identity_exchange_is_no_breach(self):
        self.append("runtime-smol/src/identity_walls.rs", "\nfn throttled(status: u16) -> bool { status == 429 }\n")
        self.assertEqual(self.check(), (0, ""))

    def test_rustls_outside_its_file(self):
        self.append("runtime-smol/src/lib.rs", "\nuse rustls::ClientConfig;\n")
        self.assert_breach("names rustls; only runtime-smol/src/tls*.rs may")

    def test_blocking_that_wakes_an_idle_process(self):
        lock = self.tree / "Cargo.lock"
        old = '[[package]]\nname = "blocking"\nversion = "1.6.2"'
        self.assertIn(old, lock.read_text(), "expected blocking 1.6.2 in Cargo.lock")
        lock.write_text(lock.read_text().replace(old, old.replace("1.6.2", "1.7.0")))
        self.assert_breach("blocking 1.7.0")


if __name__ == "__main__":
    unittest.main()
