"""THREADS=2: connections on both threads, one token for both, and pages that cover both."""

import http.client
import signal
import time
import unittest
from contextlib import contextmanager
from pathlib import Path

import frames
from case import Background, Case
from process import wait_for
from stack import Stack
from test_metrics import series
from web import exchange, fetch

CONNECTIONS = 8
LIMITS = {"THREADS": "2", "BODY_MEMORY": "8448KiB"}
FIELDS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}


def write(connection, **labels):
    """Writes one sample on a connection."""
    return exchange(connection, "POST", "/api/v1/write", frames.one_sample(**labels), FIELDS)


class Threads(Case):
    """Each test has persistent connections, the same number on each thread."""

    @contextmanager
    def stack(self, connections, **limits):
        """A stack, and this many connections that have had a response, so that all are assigned to their threads."""
        with Stack("threads", environment={**LIMITS, **limits}, prometheus=False) as stack:
            port = stack.remora.port
            opened = [http.client.HTTPConnection("127.0.0.1", port, timeout=60) for _ in range(connections)]
            for connection in opened:
                self.assert_answer(exchange(connection, "GET", "/health"), 200)
            try:
                yield stack, opened
            finally:
                for connection in opened:
                    connection.close()

    def write_on_all(self, connections, times, name):
        """Writes a series this many times on every connection concurrently."""

        def write_some(place):
            return [write(connections[place], name=name, i=f"{place}.{n}").status for n in range(times)]

        writers = [Background(write_some, place) for place in range(len(connections))]
        statuses = [status for writer in writers for status in writer.result()]
        self.assertEqual(statuses, [204] * times * len(connections))

    def test_what_both_forward_is_stored_and_every_connection_tells_of_all(self):
        with self.stack(CONNECTIONS) as (stack, connections):
            self.write_on_all(connections, 25, "both")
            count = 25 * CONNECTIONS
            stats = stack.emulator.stats()
            self.assertEqual((stats["samples"], stats["requests"]["ingest"]["204"]), (count, count), stats)
            for connection in connections:
                seen = series(exchange(connection, "GET", "/metrics").text)
                for name, label, number in (
                    ("remora_samples_total", "forwarded", count),
                    ("remora_requests_total", "204", count),
                    ("remora_request_duration_seconds_count", None, count),
                    ("remora_connections", None, CONNECTIONS),
                    ("remora_connections_limit", None, 256),
                    ("remora_requests_forwarded_limit", None, 64),
                    ("remora_body_memory_bytes", None, 8448 * 1024),
                    ("remora_token_requests_total", None, 1),
                ):
                    self.assertEqual(seen[(name, label)], number, name)
            self.assert_both_worked(stack.remora)

    def assert_both_worked(self, remora):
        """Each of the two threads has used more processor time than startup takes."""
        tasks = list(Path(f"/proc/{remora.process.pid}/task").iterdir())
        names = {task.name: (task / "comm").read_text().strip() for task in tasks}
        used = {task.name: int((task / "schedstat").read_text().split()[0]) for task in tasks}
        first, worker = str(remora.process.pid), [task for task, name in names.items() if name == "worker-1"]
        self.assertEqual(len(worker), 1, names)
        # Half of the writes is far more than a tenth of the work of the other thread, which also starts everything.
        self.assertGreater(used[worker[0]], used[first] / 10, used)

    def test_a_refused_token_is_replaced_once_for_both(self):
        with self.stack(CONNECTIONS) as (stack, connections):
            self.write_on_all(connections, 1, "before")
            issued = stack.emulator.stats()["tokens_issued"]
            # One for each connection, so that both threads meet it before there is another token.
            refused = {"endpoint": "ingest", "count": CONNECTIONS, "action": {"status": 401}}
            stack.emulator.ask("/faults", [refused, {"endpoint": "token", "action": {"delay_ms": 5000}}])
            self.write_on_all(connections, 1, "refused")
            self.write_on_all(connections, 1, "after")
            stats = stack.emulator.stats()
            self.assertEqual(stats["tokens_issued"] - issued, 1, stats)
            self.assertEqual(stats["samples"], 3 * CONNECTIONS, stats)
            seen = series(exchange(connections[0], "GET", "/metrics").text)
            self.assertEqual(seen[("remora_upstream_retries_total", "token")], CONNECTIONS)

    def test_status_tells_the_last_failure_of_either(self):
        with self.stack(2) as (_, connections):
            zstd = {**FIELDS, "Content-Encoding": "zstd"}
            for refused, fields, status in ((0, FIELDS, 400), (1, zstd, 415), (0, FIELDS, 400)):
                answer = exchange(connections[refused], "POST", "/api/v1/write", b"no snappy", fields)
                self.assert_answer(answer, status)
                for connection in connections:
                    told = exchange(connection, "GET", "/status").json()
                    self.assertEqual(told["last_failure"]["status"], status)
                # The later of the two is determined by milliseconds.
                time.sleep(0.01)
            self.assertEqual(told["counters"]["remora_requests_total"]["400"], 2)
            self.assertEqual((told["readiness"], told["configuration"]["threads"]), ("ready", "2"))

    def test_what_both_refuse_is_one_line(self):
        with self.stack(2) as (stack, connections):
            for connection in connections:
                self.assert_answer(exchange(connection, "GET", "/nowhere"), 404)
            lines = [line for line in stack.remora.process.output().splitlines() if "status=404" in line]
            self.assertEqual(len(lines), 1, lines)

    def test_a_signal_waits_for_the_requests_of_both(self):
        with self.stack(2) as (stack, connections):
            stack.emulator.ask("/faults", {"endpoint": "ingest", "action": {"delay_ms": 5000}})
            post = lambda place: write(connections[place], i=str(place))  # noqa: E731
            writers = [Background(post, place) for place in range(2)]
            rules = lambda: stack.emulator.ask("/faults", method="GET").json()  # noqa: E731
            wait_for("both writes to reach the emulator", lambda: sum(rule["hits"] for rule in rules()) == 2, 10)
            # Each thread has one of the two probes.
            probes = [http.client.HTTPConnection("127.0.0.1", stack.remora.port, timeout=10) for _ in range(2)]
            ready = lambda: [exchange(probe, "GET", "/ready").status for probe in probes]  # noqa: E731
            self.assertEqual(ready(), [200, 200])
            stack.remora.process.signal(signal.SIGTERM)
            wait_for("/ready to turn 503 on both", lambda: ready() == [503, 503], 4)
            for probe in probes:
                probe.close()
            self.assertEqual([writer.result().status for writer in writers], [204, 204])
            for connection in connections:
                connection.close()
            self.assertEqual(stack.remora.process.wait(5), 0)
            self.assertEqual(stack.stored(), 2)
            self.assertRegex(stack.remora.process.output(), r"msg=stopping open_requests=2\b")

    def test_connections_are_turned_away_only_when_both_are_full(self):
        with self.stack(CONNECTIONS, MAX_CONNECTIONS=str(CONNECTIONS)) as (stack, connections):
            health = lambda: fetch(stack.remora.url + "/health").status  # noqa: E731
            self.assertEqual(health(), 503)
            connections[3].close()
            wait_for("the place of the closed one", lambda: health() == 200, 5)


if __name__ == "__main__":
    unittest.main()
