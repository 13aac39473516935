"""What an image without an operating system requires of the binary: PID 1 in an empty root, small, and quiet when
idle."""

import contextlib
import os
import signal
import socket
import time
import unittest

import frames
from case import Case, alone, beside, slow
from empty_root import furnish
from namespaces import children, unshare
from process import Failure, wait_for
from remora import Remora, resident_bytes
from stack import Stack

IDLE_RESIDENT_BYTES = 2_000_000
WRITTEN_RESIDENT_BYTES = 2_150_000
RUNS = 3
IDLE_SECONDS = 20
IDLE_SYSTEM_CALLS = 5
IDLE_SENDERS = 8


class Container(Case):
    """Measured on the shipped binary."""

    @alone
    def test_pid_1_in_an_empty_root_answers_and_stops_on_sigterm(self):
        # How much of the file around a touched page the kernel maps as well varies: the smallest of a few runs counts.
        for left in reversed(range(RUNS)):
            if self.is_small_as_pid_1():
                return
            print(f"       {left} runs left", flush=True)
        raise Failure(
            f"expected at most {IDLE_RESIDENT_BYTES:,} and {WRITTEN_RESIDENT_BYTES:,} resident bytes in one of {RUNS} runs. "
            f"Where functions are new, scripts/layout puts them beside the others."
        )

    def is_small_as_pid_1(self):
        """Starts it, posts, and stops it; returns whether its resident memory was small before and after the write."""
        with Stack("container", prometheus=False) as stack:
            root = stack.folder.path / "root"
            environment = furnish(root, stack.emulator.remora_environment())
            # PATH is for unshare, which runs before the root changes.
            environment["PATH"] = os.environ["PATH"]
            wrapper = unshare("--pid", "--fork", "--kill-child")
            wrapper.append(f"--root={root}")
            inside = Remora(stack.folder.path, environment, wrapper, "/remora", "container.log").start()
            self.assert_answer(inside.get("/health"), 200)
            pid = self.pid_in_front(inside)
            idle = self.resident(pid, "idle with a token")
            self.assert_answer(inside.post(frames.LargeBodies(30_000).body(frames.now_ms())), 204)
            written = self.resident(pid, "idle after a write")
            os.kill(pid, signal.SIGTERM)
            self.assertEqual(inside.process.wait(1, "to stop after SIGTERM"), 0, f"exit status; {stack.where()}")
            return 0 < idle <= IDLE_RESIDENT_BYTES and 0 < written <= WRITTEN_RESIDENT_BYTES

    def pid_in_front(self, remora):
        """The process ID on this side of the process that is PID 1 inside."""
        found = wait_for("a child of unshare", lambda: children(remora.process.pid), 2)
        names = open(f"/proc/{found[0]}/status", encoding="utf-8").read()
        inner = [line.split()[-1] for line in names.splitlines() if line.startswith("NSpid:")]
        self.assertEqual(inner, ["1"], "expected Remora to be PID 1 in its namespace")
        return found[0]

    def resident(self, pid, when):
        """Resident memory of the idle process in bytes."""
        time.sleep(1)
        seen = resident_bytes(pid)
        print(f"       {seen:,} bytes resident, {when}", flush=True)
        return seen

    @beside
    @slow
    def test_idle_costs_nothing(self):
        self.assert_still(lambda _remora: None)

    @beside
    @slow
    def test_idle_costs_nothing_with_idle_connections(self):
        with contextlib.ExitStack() as kept:

            def leave_idle(remora):
                """A connection to Azure, senders that sent nothing, and senders that got a response."""
                self.assert_answer(remora.post(frames.one_sample()), 204)
                for number in range(2 * IDLE_SENDERS):
                    sender = kept.enter_context(socket.create_connection(("127.0.0.1", remora.port), timeout=10))
                    if number < IDLE_SENDERS:
                        sender.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                        self.assertIn(b" 200 ", sender.recv(4096))
                page = remora.get("/metrics").text
                self.assertIn('remora_upstream_connections{state="idle"} 1', page)

            self.assert_still(leave_idle)

    def assert_still(self, prepare):
        """An idle process makes hardly any system calls, measured from three seconds after `prepare`."""
        with Stack("idle", prometheus=False) as stack:
            trace = stack.folder.path / "system-calls"
            wrapper = ("strace", "-f", "-ttt", "-o", str(trace))
            environment = {**stack.emulator.remora_environment(), "PATH": os.environ["PATH"]}
            remora = Remora(stack.folder.path, environment, wrapper, log="idle.log").start()
            prepare(remora)
            time.sleep(3)
            began = time.time()
            time.sleep(IDLE_SECONDS)
            ended = time.time()
            remora.process.kill()
            seen = calls_between(trace, began, ended)
            print(f"       {len(seen)} system calls in {IDLE_SECONDS} idle seconds", flush=True)
            if len(seen) > IDLE_SYSTEM_CALLS:
                calls = "\n".join(seen[:40])
                raise Failure(
                    f"expected at most {IDLE_SYSTEM_CALLS} system calls in {IDLE_SECONDS} idle seconds; "
                    f"saw {len(seen)}:\n{calls}"
                )


def calls_between(trace, began, ended):
    """The lines of an `strace -ttt` file for calls that began in that time."""
    seen = []
    for line in trace.read_text().splitlines():
        _pid, stamp, call = line.split(maxsplit=2)
        if began <= float(stamp) <= ended and not call.startswith(("<...", "---", "+++")):
            seen.append(line)
    return seen


if __name__ == "__main__":
    unittest.main()
