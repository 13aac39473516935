"""Senders that announce large bodies, send a byte a second, and reconnect at once when they are disconnected."""

import os
import signal
import socket
import threading
import time
import unittest

import wire
from case import Background, Case, alone, beside, slow
from frames import one_sample
from process import wait_for
from prometheus import sum_by_name
from stack import Stack

SENDERS = 6
# Two of them use all of the BODY_MEMORY available to large bodies.
LARGE = 4 * 1024 * 1024 - 64 * 1024
# Timeouts in seconds: of a body without progress, and of a write that waits for memory.
STALL, ADMISSION = 5, 25
SMALL_WRITES, PAUSE = 100, 0.2


class Trickle(threading.Thread):
    """One such sender, until the sidecar has stopped."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self._port = port
        self.start()

    def run(self):
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self._port)) as connection:
                    self.trickle(connection)
            except ConnectionRefusedError:
                return
            except OSError:
                # Disconnected by the sidecar.
                continue

    @staticmethod
    def trickle(connection):
        connection.sendall(f"{wire.HEAD}Content-Length: {LARGE}\r\n\r\n".encode())
        while True:
            connection.sendall(b"x")
            time.sleep(1)


@beside
@slow
class SlowBodies(Case):
    """They never delay ordinary writes, and delay large ones only until it is their turn."""

    @alone
    def test_others_are_served(self):
        with Stack("slow-bodies", prometheus=False) as stack:
            for _ in range(SENDERS):
                Trickle(stack.remora.port)
            wait_for("all memory for large bodies to be lent", lambda: used(stack.remora) == 2 * LARGE, 5)
            large = Background(post, stack.remora, one_sample(name="large", filler="x" * 1_000_000))
            small = []
            for _ in range(SMALL_WRITES):
                small.append(post(stack.remora, one_sample()))
                time.sleep(PAUSE)
            large_status, large_took = large.result(ADMISSION)
            self.assertEqual({status for status, _ in small} | {large_status}, {204}, stack.where())
            self.assertLess(max(took for _, took in small), STALL / 2, stack.where())
            self.assertEqual(stack.stored(), SMALL_WRITES + 1, stack.where())
            longest = max(took for _, took in small)
            print(f"       small writes within {longest:.2f} s, a large one after {large_took:.0f} s", flush=True)

    def test_a_body_that_came_while_the_sidecar_was_frozen_is_taken(self):
        with Stack("frozen-body", prometheus=False) as stack:
            head, body = wire.with_length(one_sample()).split(b"\r\n\r\n", 1)
            with socket.create_connection(("127.0.0.1", stack.remora.port), timeout=10) as connection:
                connection.sendall(head + b"\r\n\r\n")
                wait_for("room for the body", lambda: used(stack.remora) > 0, 5)
                os.kill(stack.remora.process.pid, signal.SIGSTOP)
                connection.sendall(body)
                time.sleep(STALL + 1)
                os.kill(stack.remora.process.pid, signal.SIGCONT)
                answer = connection.recv(4096)
            self.assertEqual(answer[:12], b"HTTP/1.1 204", stack.where())
            self.assertEqual(stack.stored(), 1, stack.where())


def post(remora, body):
    """Status, and seconds until the response."""
    began = time.monotonic()
    return remora.post(body).status, time.monotonic() - began


def used(remora):
    """Bytes of body memory in use."""
    return sum_by_name(remora.get("/metrics").text)["remora_body_memory_used_bytes"]


if __name__ == "__main__":
    unittest.main()
