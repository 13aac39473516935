"""A long run in brief: RSS, file descriptors and threads stay flat, and every segment and slot is returned.

REMORA_E2E_SOAK=N sets the number of requests to N.
"""

import os
import socket
import time
import unittest
from pathlib import Path
from typing import NamedTuple

import frames
import soak
import wire
from case import Case, seconds, slow
from process import Failure, wait_for
from prometheus import sum_by_name
from stack import Stack

REQUESTS = int(os.environ.get("REMORA_E2E_SOAK") or seconds(100_000, 400_000))
MAX_CONNECTIONS = 64
BODY_MEMORY = 1024 * 1024
# All of the arena except the part reserved from any single body.
LARGEST = BODY_MEMORY - 128 * 1024
HELD = ("remora_body_memory_used_bytes", "remora_requests_in_flight", "remora_connections")
KEPT = 100_000
STEADY_BYTES = 500_000
STEADY_DESCRIPTORS = 8


class Sample(NamedTuple):
    """The resources that the process holds at one time."""

    done: int
    resident: int
    descriptors: int
    threads: int

    def __str__(self):
        return f"{self.resident:,} bytes, {self.descriptors} descriptors, {self.threads} threads"


@slow
class Soak(Case):
    """Mixed sizes, one fault in a hundred requests."""

    def test_memory_descriptors_and_threads_stay_flat(self):
        limits = {"MAX_CONNECTIONS": str(MAX_CONNECTIONS), "BODY_MEMORY": str(BODY_MEMORY)}
        limits.update(MAX_BODY_BYTES=str(LARGEST), LOG_LEVEL="error")
        with Stack("soak", environment=limits, prometheus=False) as stack:
            began = time.monotonic()
            samples, threads = self.watch(stack)
            taken = time.monotonic() - began
            done, again = soak.done(threads), soak.retried(threads)
            print(f"       {done:,} requests in {taken:.0f} s, {again:,} tries again", flush=True)
            self.assert_flat(samples)
            self.assertEqual(set(soak.merged(threads)), {204}, f"last answers; {stack.where()}")
            self.assert_nothing_held(stack)
            self.assert_every_slot_and_segment(stack)

    def watch(self, stack):
        """Runs the load; returns the samples taken meanwhile, and the senders."""
        threads = soak.run_senders(stack.remora, stack.emulator, REQUESTS)
        samples, cleared = [], 0
        while any(thread.is_alive() for thread in threads):
            samples.append(hold(stack.remora, soak.done(threads)))
            if samples[-1].done > cleared + KEPT:
                cleared = samples[-1].done
                print(f"       {cleared:,} requests: {samples[-1]}", flush=True)
                # The emulator stores every body.
                stack.emulator.ask("/samples", method="DELETE")
            time.sleep(0.2)
        for thread in threads:
            if thread.error is not None:
                raise thread.error
        return samples, threads

    def assert_flat(self, samples):
        """The last tenth of the run holds no more than the first, except for pages that are touched late."""
        total = samples[-1].done
        first = peak([sample for sample in samples if sample.done <= total / 10])
        last = peak([sample for sample in samples if sample.done >= total * 9 / 10])
        print(f"       held in the first tenth {first}, in the last {last}", flush=True)
        self.assertLessEqual(last.resident, first.resident + STEADY_BYTES, "resident bytes")
        self.assertLessEqual(last.descriptors, first.descriptors + STEADY_DESCRIPTORS, "file descriptors")
        self.assertLessEqual(last.threads, first.threads + 1, "threads")

    def assert_nothing_held(self, stack):
        """The gauges return to zero, except for the connection that requests them."""

        def nothing_held():
            metrics = sum_by_name(stack.remora.get("/metrics").text)
            return [metrics[name] for name in HELD] == [0, 0, 1]

        wait_for("no segment, request or connection to be held", nothing_held, 10)

    def assert_every_slot_and_segment(self, stack):
        """As many connections as there are slots are served, and then a body that needs nearly the whole arena."""
        request = wire.with_length(frames.one_sample())
        address = ("127.0.0.1", stack.remora.port)
        # Remora must also notice the end of the connection that requested the gauges.
        time.sleep(0.5)
        connections = [socket.create_connection(address, timeout=10) for _ in range(MAX_CONNECTIONS)]
        statuses = []
        for connection in connections:
            connection.sendall(request)
            statuses.append(wire.read_answer(connection.makefile("rb")))
        for connection in connections:
            connection.close()
        self.assertEqual(set(statuses), {204}, "answers on as many connections as there are slots")
        large = frames.one_sample(text="x" * (LARGEST - 200))
        status = stack.remora.post(large).status
        # Azure decides how long a label may be; what counts here is that the body reached Azure.
        self.assertIn(status, (204, 400), "answer to a body that fills the arena")


def hold(remora, done):
    """The resources that the process holds now."""
    folder = Path(f"/proc/{remora.process.pid}")
    return Sample(done, remora.resident_bytes(), len(os.listdir(folder / "fd")), len(os.listdir(folder / "task")))


def peak(samples):
    """The highest value of each resource."""
    if not samples:
        raise Failure("expected the load to last long enough to be looked at in its first and its last tenth")
    return Sample(*map(max, zip(*samples)))


if __name__ == "__main__":
    unittest.main()
