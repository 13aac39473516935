"""Senders that announce the largest body there is and send a byte a second: all memory for bodies is theirs, for a time."""

import socket
import threading
import time
import unittest

import wire
from case import Background, Case, beside, slow
from frames import one_sample
from process import wait_for
from prometheus import sum_by_name
from stack import Stack

SENDERS = 8
LARGEST = 4 * 1024 * 1024
# What a body has to arrive, and what a write waits for memory; then the sender's own pause before it comes again.
BODY, ADMISSION, PAUSE = 30, 25, 5


class Trickle(threading.Thread):
    """One of them; it does not come again when it is sent away."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.sendall(f"{wire.HEAD}Content-Length: {LARGEST}\r\n\r\n".encode())
        self.start()

    def run(self):
        try:
            while True:
                self._socket.sendall(b"x")
                time.sleep(1)
        except OSError:
            # Sent away.
            pass


@beside
@slow
class SlowBodies(Case):
    """They hold others up and nothing more, no longer than a body has to arrive."""

    def test_a_write_is_taken_when_their_time_is_over(self):
        with Stack("slow-bodies", prometheus=False) as stack:
            for _ in range(SENDERS):
                Trickle(stack.remora.port)
            wait_for("all memory for bodies to be lent", lambda: used(stack.remora) == 2 * LARGEST, 5)
            began = time.monotonic()
            statuses = Background(self.write_until_taken, stack.remora).result(BODY + ADMISSION + PAUSE)
            took = time.monotonic() - began
            self.assertEqual(set(statuses[:-1]), {503}, f"answers before the last; {stack.where()}")
            self.assertLess(took, BODY + PAUSE, f"seconds until the write was taken; {stack.where()}")
            self.assertEqual(stack.stored(), 1, stack.where())
            print(f"       taken after {took:.0f} s and {len(statuses)} tries", flush=True)

    @staticmethod
    def write_until_taken(remora):
        """The answers to a sender that comes again when it is told to."""
        statuses = []
        while not statuses or statuses[-1] == 503:
            answer = remora.post(one_sample())
            statuses.append(answer.status)
            time.sleep(min(PAUSE, int(answer.fields.get("retry-after", 0))))
        return statuses


def used(remora):
    """Bytes of the memory for bodies that are lent out."""
    return sum_by_name(remora.get("/metrics").text)["remora_body_memory_used_bytes"]


if __name__ == "__main__":
    unittest.main()
