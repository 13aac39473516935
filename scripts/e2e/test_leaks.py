"""Expired tokens, assertions and secrets are nowhere in the memory of the running process."""

import base64
import re
import time
import unittest
from pathlib import Path

import memory_of
from case import Case
from frames import one_sample
from process import Failure, wait_for
from stack import Stack

LIFE = ("--token-life", "6s")
RESOURCE = "https://monitor.azure.com"


def access_tokens(pid):
    """The access tokens in memory; the assertion exchanged for them has another audience."""
    return {token: claims for token, claims in memory_of.tokens(pid).items() if RESOURCE in str(claims.get("aud"))}


class Leaks(Case):
    """The test first finds the token in use, which shows that it would also find an old one."""

    def renew(self, identity):
        """Writes with one token until it has expired and another is in use; returns stack, process ID and the first
        token."""
        stack = Stack(f"secrets-{identity}", LIFE, prometheus=False, identity=identity)
        self.folder = stack.folder
        self.addCleanup(stack.stop)
        stack.start()
        pid = stack.remora.process.pid
        for _ in range(5):
            self.assert_answer(stack.remora.post(one_sample()), 204)
        found = access_tokens(pid)
        first = max(found, key=lambda token: found[token]["exp"], default=None)
        if first is None:
            raise Failure(f"expected the token in use to be found in memory; {stack.where()}")
        wait_for("the first token to expire and to be gone", lambda: not memory_of.holds(pid, first[-40:]), 20, 0.5)
        self.assert_answer(stack.remora.post(one_sample()), 204)
        time.sleep(1)
        return stack, pid, first

    def assert_clean(self, stack, pid, first):
        """No expired token, no assertion, and no part of the first token."""
        for token, claims in memory_of.tokens(pid).items():
            if RESOURCE not in str(claims.get("aud")):
                raise Failure(f"expected no assertion in memory; found one for {claims.get('aud')}; {stack.where()}")
            self.assertGreater(claims["exp"], time.time() - 1, f"an expired token is in memory; {stack.where()}")
        # The header and the beginning of the payload are the same in every token.
        signature = first.split(b".")[2]
        for start in range(0, len(signature) - 32, 32):
            part = signature[start : start + 32]
            self.assertFalse(memory_of.holds(pid, part), f"a part of the old token is in memory; {stack.where()}")

    def test_an_expired_token_and_its_assertion(self):
        self.assert_clean(*self.renew(None))

    def test_an_expired_token_and_the_key_that_signed_for_it(self):
        stack, pid, first = self.renew("pfx")
        self.assert_clean(stack, pid, first)
        pem = (stack.emulator.folder / "client.pem").read_text()
        key = base64.b64decode(pem.split("-----BEGIN PRIVATE KEY-----")[1].split("-----END")[0])
        for start in range(300, len(key) - 32, 100):
            self.assertFalse(memory_of.holds(pid, key[start : start + 32]), f"a part of the key is in memory; {stack.where()}")

    def test_an_expired_token_of_the_machine(self):
        self.assert_clean(*self.renew("imds-user"))

    def test_a_crash_leaves_no_core_dump(self):
        with Stack("core-dump", prometheus=False) as stack:
            limits = Path(f"/proc/{stack.remora.process.pid}/limits").read_text()
            soft, hard = re.search(r"^Max core file size +(\S+) +(\S+)", limits, re.MULTILINE).groups()
            # A hard limit of 0 cannot be raised; then the process is not dumpable.
            expected = "0" if hard == "0" else "1"
            self.assertEqual(soft, expected, "with 1, and not with 0, neither a file is written nor a handler started")


if __name__ == "__main__":
    unittest.main()
