"""Many concurrent senders, each with the largest allowed body, and many idle ones: all within the configured memory."""

import asyncio
import collections
import threading
import time
import unittest

import frames
from case import Case, slow
from process import Failure
from remora import resident_bytes
from stack import Stack
from test_metrics import series

BODY_BYTES = 4 * 1024 * 1024
BODY_MEMORY = 8 * 1024 * 1024
# Senders, and what may be resident besides their bodies: as many as MAX_IN_FLIGHT by default, and close to the limit on
# connections.
CROWDS = ((64, 4_000_000), (200, 6_000_000))
PIECE = 64 * 1024
ATTEMPTS = 40

IDLE_SENDERS = 1000
# For all of them together: after they have only connected, and after each has had a response.
CONNECTED_BYTES = 6_000_000
ANSWERED_BYTES = 6_000_000

FAR_DECODED = 24 * 1024 * 1024
# What the body itself takes, and no window.
FAR_LEFT = 4_000_000
FAR_OFFSET = 100_000

HEAD = (
    "POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: snappy\r\n"
    "Content-Type: application/x-protobuf\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\nContent-Length: {}\r\n\r\n"
)


class Resident(threading.Thread):
    """Watches the resident memory of a process; `highest` is in bytes."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self._pid = pid
        self._ended = threading.Event()
        self.highest = 0
        self.start()

    def run(self):
        while not self._ended.wait(0.02):
            self.highest = max(self.highest, resident_bytes(self._pid))

    def finish(self):
        """Stops watching; uses the kernel's own high-water mark if there is one."""
        self._ended.set()
        self.join()
        return max(self.highest, resident_bytes(self._pid, "VmHWM"))


async def send(port, body):
    """One post on a new connection; returns its status."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(HEAD.format(len(body)).encode())
        for start in range(0, len(body), PIECE):
            writer.write(body[start : start + PIECE])
            await writer.drain()
        line = await reader.readline()
        return int(line.split()[1])
    finally:
        writer.close()


async def deliver(port, body, statuses):
    """Posts until the body is accepted, like a sender that retries on 5xx; every response is counted."""
    for _attempt in range(ATTEMPTS):
        try:
            status = await send(port, body)
        except (OSError, IndexError) as error:
            status = type(error).__name__
        statuses[status] += 1
        if status != 503:
            return
        await asyncio.sleep(1)


async def deliver_all(port, bodies, count, first):
    """Posts this many bodies at once, with timestamps 1 ms apart; returns how often each status was the response."""
    statuses = collections.Counter()
    senders = [deliver(port, bodies.body(first + number), statuses) for number in range(count)]
    await asyncio.wait_for(asyncio.gather(*senders), 240)
    return statuses


async def with_idle_senders(remora, count):
    """Bytes resident while this many connections are open: before their first request, and after its response."""
    senders = []
    try:
        for _sender in range(count):
            senders.append(await asyncio.open_connection("127.0.0.1", remora.port))
        connected = await settled(remora)
        for reader, writer in senders:
            writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            if b" 200 " not in head:
                raise Failure(f"expected 200 on a connection that had been idle; saw {head!r}")
        return connected, await settled(remora)
    finally:
        for _reader, writer in senders:
            writer.close()


async def settled(remora):
    """Bytes resident a second after the last action."""
    await asyncio.sleep(1)
    return remora.resident_bytes()


@slow
class Memory(Case):
    """The configured limit holds for the whole process."""

    def test_senders_with_4_mib_each_stay_within_the_memory_set(self):
        for senders, beside in CROWDS:
            with self.subTest(senders=senders):
                self.deliver_within(senders, BODY_MEMORY + beside)

    def deliver_within(self, senders, limit):
        """This many concurrent writes of the largest body are all stored, with never more than `limit` bytes
        resident."""
        bodies = frames.LargeBodies(BODY_BYTES)
        with Stack("memory", environment={"BODY_MEMORY": "8MiB", "MAX_BODY_BYTES": "4MiB"}, prometheus=False) as stack:
            resident = Resident(stack.remora.process.pid)
            began = time.monotonic()
            statuses = asyncio.run(deliver_all(stack.remora.port, bodies, senders, frames.now_ms() - 60_000))
            print(f"       answers {dict(statuses)} in {time.monotonic() - began:.1f} s, ", end="")
            highest = resident.finish()
            print(f"at most {highest:,} bytes resident", flush=True)
            unexpected = {status: count for status, count in statuses.items() if status not in (200, 204, 503)}
            if unexpected or statuses[200] + statuses[204] != senders:
                raise Failure(f"expected {senders} answers of 2xx; saw {dict(statuses)}\n{stack.remora.process.tail()}")
            self.assertEqual(stack.stored(), senders * bodies.samples, f"samples stored; {stack.where()}")
            self.assertLessEqual(highest, limit, "bytes resident")

    def test_1000_idle_senders_cost_a_few_kilobytes_each(self):
        with Stack("idle-senders", environment={"MAX_CONNECTIONS": "1100"}, prometheus=False) as stack:
            self.assert_answer(stack.remora.post(frames.one_sample()), 204)
            before = stack.remora.resident_bytes()
            connected, answered = asyncio.run(with_idle_senders(stack.remora, IDLE_SENDERS))
            print(f"       {before:,} bytes resident before {IDLE_SENDERS} senders connected, ", end="")
            print(f"{connected:,} after, {answered:,} after an answer to each", flush=True)
            self.assertLessEqual(connected, before + CONNECTED_BYTES, "bytes resident with senders that sent nothing")
            self.assertLessEqual(answered, before + ANSWERED_BYTES, "bytes resident with senders that were answered")

    def test_the_window_of_a_body_that_reaches_far_back_is_given_back(self):
        before, highest, after, verdicts = self.reach_far_back("32MiB")
        self.assertGreater(highest, before + FAR_DECODED // 2, "the body took its window")
        self.assertLess(after, before + FAR_LEFT, "the window is given back")
        self.assertEqual(verdicts, {"good": 1, "unchecked": 0})

    def test_a_body_that_reaches_back_too_far_for_the_memory_is_forwarded_unchecked(self):
        before, highest, _after, verdicts = self.reach_far_back("8MiB")
        self.assertLess(highest, before + FAR_LEFT, "no window is taken")
        self.assertEqual(verdicts, {"good": 0, "unchecked": 1})

    def reach_far_back(self, memory):
        """Posts a body that refers back further than the usual window; bytes resident before, at most and after, and
        the verdicts counted."""
        unknown = frames.field(15, bytes(FAR_DECODED))
        decoded = frames.series({"__name__": "far"}, 1.0, frames.now_ms()) + unknown
        body = frames.far_copies(decoded, FAR_OFFSET)
        with Stack("far-copies", environment={"BODY_MEMORY": memory}, prometheus=False) as stack:
            before = resident_bytes(stack.remora.process.pid)
            resident = Resident(stack.remora.process.pid)
            self.assert_answer(stack.remora.post(body), 204)
            highest = resident.finish()
            after = resident_bytes(stack.remora.process.pid)
            print(f"       {before:,} bytes resident before, {highest:,} at most, {after:,} after", flush=True)
            self.assertEqual(stack.stored(), 1)
            seen = series(stack.remora.get("/metrics").text)
            counted = {verdict: seen["remora_frames_total", verdict] for verdict in ("good", "unchecked")}
            return before, highest, after, counted


if __name__ == "__main__":
    unittest.main()
