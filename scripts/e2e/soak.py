"""Sustained load: several senders write bodies of mixed sizes over persistent connections, and one request in a hundred
fails, on Azure's side or the sender's."""

import itertools
import random
import socket
import threading
import time

import frames
import wire

SIZES = (200, 2_000, 12_000, 42_000, 200_000)
WEIGHTS = (50, 25, 15, 9, 1)
FAULT_EVERY = 100
# Before the next attempt, in seconds: doubling from 30 ms like Prometheus' pauses, for longer than Remora waits between
# token exchanges.
PAUSES = (*(0.03 * 2**n for n in range(6)), *[1.0] * 60)

# Azure's faults, each for one request.
AZURE = (
    {"status": 503},
    {"status": 429, "headers": {"Retry-After": "0"}},
    {"status": 307, "headers": {"Location": "https://localhost:1/"}},
    {"status": 401},
    {"reset": "request_body"},
    {"reset": "before_head"},
    {"truncate": 10},
    {"close": "idle"},
)


def body_of(size):
    """A valid body of about this many bytes, with one sample of constant value."""
    return frames.one_sample(name="e2e_soak", text="x" * size, timestamp=frames.now_ms())


class Sender(threading.Thread):
    """Writes `count` requests; `statuses` counts the status of each request's last attempt."""

    def __init__(self, port, count, number, emulator):
        super().__init__(daemon=True)
        self._port = port
        self._count = count
        self._random = random.Random(number)
        self._emulator = emulator
        self._stream = None
        self._connection = None
        self.done = 0
        self.statuses = {}
        self.retried = 0
        self.error = None

    def run(self):
        requests = [wire.with_length(body_of(size)) for size in SIZES]
        try:
            for number in range(self._count):
                if number % FAULT_EVERY == FAULT_EVERY - 1:
                    self._go_wrong()
                status = self._deliver(self._random.choices(requests, WEIGHTS)[0])
                self.statuses[status] = self.statuses.get(status, 0) + 1
                self.done += 1
        except Exception as error:  # raised again by the thread that waits for this one
            self.error = error
        finally:
            self._hang_up()

    def _deliver(self, request):
        """The last status after as many attempts as a sender makes on 5xx."""
        for pause in PAUSES:
            status = self._send(request)
            if status is not None and status < 500:
                break
            self.retried += 1
            time.sleep(pause)
        return status

    def _send(self, request):
        """One attempt on the persistent connection; None if the connection broke."""
        try:
            if self._connection is None:
                self._connection = socket.create_connection(("127.0.0.1", self._port), timeout=60)
                self._stream = self._connection.makefile("rb")
            self._connection.sendall(request)
            status = wire.read_answer(self._stream)
        except OSError:
            status = 0
        if not status:
            self._hang_up()
        return status or None

    def _hang_up(self):
        if self._connection is not None:
            self._stream.close()
            self._connection.close()
            self._connection = None

    def _go_wrong(self):
        """One fault, on either side."""
        fault = self._random.choice((*AZURE, "cut", "corrupt", "garbage"))
        if fault == "cut":
            # A sender that disconnects in the middle of its body.
            with socket.create_connection(("127.0.0.1", self._port), timeout=60) as connection:
                connection.sendall(wire.with_length(body_of(42_000))[:20_000])
        elif fault == "corrupt":
            self._send(wire.with_length(b"\xff" * 500))
        elif fault == "garbage":
            self._send(b"\x16\x03\x01 no HTTP\r\n\r\n")
        else:
            self._emulator.ask("/faults", {"endpoint": "ingest", "count": 1, "action": fault})


def run_senders(remora, emulator, count, senders=4):
    """Starts the senders; each gets its share of the requests."""
    threads = [Sender(remora.port, count // senders, number, emulator) for number in range(senders)]
    for thread in threads:
        thread.start()
    return threads


def done(threads):
    """Number of finished requests."""
    return sum(thread.done for thread in threads)


def retried(threads):
    """Number of attempts that followed a failed one."""
    return sum(thread.retried for thread in threads)


def merged(threads):
    """How often each status was the final one."""
    total = {}
    for status, count in itertools.chain.from_iterable(thread.statuses.items() for thread in threads):
        total[status] = total.get(status, 0) + count
    return total
