"""The limits on open files, which systems set low for old programs."""

import re
import socket
import unittest

import frames
from case import Case
from process import Failure, wait_for
from remora import Remora
from stack import Stack

# More than the limit in the second test; connections that are not accepted stay in the listener's queue.
CONNECTIONS = 150
# Files with which it starts.
ENOUGH = 63


class OpenFiles(Case):
    """Remora under prlimit(1)."""

    def start(self, stack, soft, hard, **environment):
        """A second Remora, whose process may have this many files."""
        env = {**stack.emulator.remora_environment(), **environment}
        wrapper = ("prlimit", f"--nofile={soft}:{hard}")
        remora = Remora(stack.folder.path, env, wrapper, log=f"{soft}-{hard}.log")
        self.addCleanup(remora.process.kill)
        return remora.start()

    def connect(self, remora):
        """Opens connections that send nothing and stay open until the test ends."""
        for _ in range(CONNECTIONS):
            sender = socket.create_connection(("127.0.0.1", remora.port), 5)
            self.addCleanup(sender.close)

    def test_what_is_allowed_is_used(self):
        with Stack("files", prometheus=False) as stack:
            remora = self.start(stack, 64, 2048, MAX_CONNECTIONS=str(2 * CONNECTIONS))
            self.connect(remora)
            metrics = remora.get("/metrics").text
            self.assertEqual(re.search(r"^process_max_fds (\d+)", metrics, re.MULTILINE)[1], "2048")
            self.assertEqual(remora.post(frames.one_sample()).status // 100, 2, stack.where())
            self.assertNotIn("open files", remora.process.output())

    def test_what_is_not_enough_is_told_with_what_repairs_it(self):
        with Stack("few-files", prometheus=False) as stack:
            remora = self.start(stack, 64, 128, MAX_CONNECTIONS=str(2 * CONNECTIONS))
            self.assertRegex(remora.process.output(), 'msg="open-file limit is lower.*limit=128 .*fix="raise the hard')
            self.connect(remora)
            failed = 'msg="accept failed" err=.*os error 24.* fix="raise the hard limit'
            wait_for("the line", lambda: re.search(failed, remora.process.output()), 10, process=remora.process)

    def test_too_few_to_start_with_end_it_with_a_line_in_the_log(self):
        with Stack("no-files", prometheus=False) as stack:
            # One more each time, so that each step of the start is the one that fails.
            failed = 0
            for limit in range(6, ENOUGH + 1):
                wrapper = ("prlimit", f"--nofile={limit}:{limit}")
                environment = stack.emulator.remora_environment()
                remora = Remora(stack.folder.path, environment, wrapper, log=f"{limit}.log")
                self.addCleanup(remora.process.kill)
                remora.process.start()
                if not self.has_ended(remora):
                    break
                failed += 1
                self.assertEqual(remora.process.wait(10), 1, f"with {limit} files; {stack.where()}")
                self.assertRegex(remora.process.output(), 'level=error msg="cannot .* err=.*No file descriptors')
                self.assertNotIn("another one", remora.process.output(), "the port is free")
            else:
                raise Failure(f"expected Remora to start with {ENOUGH} files; {stack.where()}")
            self.assertGreater(failed, 0, "limits that are too low")

    @staticmethod
    def has_ended(remora):
        """Waits until it has ended or listens; whether it has ended."""
        listens = lambda: "msg=listening" in remora.process.output()  # noqa: E731
        wait_for("Remora to end or to listen", lambda: remora.process.poll() is not None or listens(), 10)
        return not listens()


if __name__ == "__main__":
    unittest.main()
