"""The responses to a sender, and the requests that reach Azure."""

import json
import random
import socket
import subprocess
import unittest
from pathlib import Path

import frames
import wire
from case import Case
from namespaces import told_inside
from stack import Stack

PEER = Path(__file__).with_name("foreign_peer.py")
CROWDS = Path(__file__).with_name("crowds.py")


class Requests(Case):
    """One stack for all tests: each counts what it adds."""

    @classmethod
    def setUpClass(cls):
        cls.stack = Stack("requests", prometheus=False).start()
        cls.folder = cls.stack.folder
        cls.remora = cls.stack.remora

    @classmethod
    def tearDownClass(cls):
        cls.stack.__exit__(None, None, None)

    def setUp(self):
        self.stored_before = self.stack.stored()
        self.requests_before = self.ingest_requests()

    def ingest_requests(self):
        """Requests that reached the emulator's ingestion endpoint, whatever the response."""
        return sum(self.stack.emulator.stats()["requests"].get("ingest", {}).values())

    def assert_stored(self, count):
        """This many samples were added."""
        self.assertEqual(self.stack.stored() - self.stored_before, count, "samples added")

    def assert_nothing_left(self):
        """Azure received no request."""
        self.assertEqual(self.ingest_requests(), self.requests_before, "requests to Azure")

    def assert_refused(self, answer, status, text=""):
        """The answer, as one readable line, and nothing was forwarded."""
        self.assert_answer(answer, status, text)
        self.assertEqual(len(answer.text.strip().splitlines()), 1, f"expected one line: {answer.text!r}")
        self.assert_nothing_left()

    def test_a_good_body(self):
        answer = self.remora.post(frames.one_sample())
        self.assertEqual(answer.status // 100, 2, answer)
        self.assert_stored(1)
        self.assertEqual(self.ingest_requests() - self.requests_before, 1, "requests to Azure")

    def test_a_401_that_persists_is_held_back_with_azures_reason(self):
        refusal = {"status": 401, "body": "InvalidAudience"}
        self.stack.emulator.ask("/faults", {"endpoint": "ingest", "action": refusal})
        try:
            # Only the first one can be met with another token: it is refreshed at most once in 30 s.
            for _ in range(3):
                self.assert_answer(self.remora.post(frames.one_sample()), 503, "InvalidAudience")
        finally:
            self.stack.emulator.ask("/faults", method="DELETE")
        self.assert_answer(self.remora.post(frames.one_sample()), 204)

    def test_a_401_after_which_azure_closes_is_repaired(self):
        # The end of the connection arrives with the answer.
        refusal = {"status": 401, "headers": {"Connection": "close"}, "body": "expired"}
        fault = {"endpoint": "ingest", "count": 1, "action": refusal}
        with Stack("closing-401", environment={"REFUSAL_HOLD": "0s"}, prometheus=False) as stack:
            stack.emulator.ask("/faults", fault)
            self.assert_answer(stack.remora.post(frames.one_sample()), 204)

    def test_snappy_garbage_is_400_and_stays_here(self):
        self.assert_refused(self.remora.post(b"\xff" * 100), 400, "snappy")

    def test_protobuf_garbage_is_400_and_stays_here(self):
        self.assert_refused(self.remora.post(frames.snappy(b"\x0a\x7fshort")), 400, "protobuf")

    def test_an_empty_body_is_400_and_stays_here(self):
        self.assert_refused(self.remora.post(b""), 400)

    def test_a_body_over_the_limit_is_400(self):
        self.assert_refused(self.remora.post(b"\0" * (4 * 1024 * 1024 + 1)), 400)

    def test_zstd_is_415(self):
        self.assert_refused(self.remora.post(frames.one_sample(), {"Content-Encoding": "zstd"}), 415)

    def test_another_media_type_is_415(self):
        self.assert_refused(self.remora.post(frames.one_sample(), {"Content-Type": "application/json"}), 415)

    def test_another_protobuf_message_is_415(self):
        fields = {"Content-Type": "application/x-protobuf;proto=example.Unknown"}
        self.assert_refused(self.remora.post(frames.one_sample(), fields), 415)

    def test_another_path_is_404(self):
        self.assert_refused(self.remora.post(frames.one_sample(), path="/api/v1/push"), 404)

    def test_get_on_the_write_path_is_405(self):
        self.assert_refused(self.remora.get("/api/v1/write"), 405)

    def test_a_sender_s_own_authorization_goes_no_further(self):
        secret = "Bearer of-the-sender"
        answer = self.remora.post(frames.one_sample(), {"Authorization": secret, "X-Secret": "of-the-sender"})
        self.assertEqual(answer.status // 100, 2, answer)
        requests = self.stack.emulator.ask("/requests", method="GET").text
        self.assertNotIn("of-the-sender", requests)

    def test_chunks_of_every_size(self):
        body = frames.one_sample(text="x" * 40_000)
        for size in (7, 1000, 16_384, len(body)):
            with self.subTest(size=size):
                seen = wire.statuses(self.remora.port, wire.chunked(body, size), 1)
                self.assertEqual([status // 100 for status in seen], [2], f"statuses {seen}")

    def test_two_pipelined_requests(self):
        first, second = (wire.with_length(frames.one_sample(name=name)) for name in ("first", "second"))
        seen = wire.statuses(self.remora.port, first + second, 2)
        self.assertEqual([status // 100 for status in seen], [2, 2], f"statuses {seen}")
        self.assert_stored(2)

    def test_many_requests_on_one_connection(self):
        requests = b"".join(wire.with_length(frames.one_sample(i=str(number))) for number in range(50))
        seen = wire.statuses(self.remora.port, requests, 50)
        self.assertEqual({status // 100 for status in seen}, {2}, f"statuses {seen}")
        self.assert_stored(50)

    def test_requests_of_all_kinds_in_one_go(self):
        page, health = (f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for path in ("/metrics", "/health"))
        ways = [wire.with_length, lambda body: wire.chunked(body, 777), lambda body: wire.chunked(body, 16_384)]
        for seed in range(6):
            with self.subTest(seed=seed):
                chance = random.Random(seed)
                requests = [
                    way(frames.one_sample(name=f"go_{seed}_{size}_{number}", text="x" * size))
                    for size in (60_000, 30_000, 1, 140_000)
                    for number, way in enumerate(ways)
                ]
                mixed = requests + [page] * 3 + [health] * 3
                chance.shuffle(mixed)
                # A request refused before its body was read ends the connection.
                last = requests[0].replace(b"/api/v1/write", b"/nowhere", 1)
                stored = self.stack.stored()
                seen = wire.statuses(self.remora.port, b"".join(mixed) + last, len(mixed) + 1)
                self.assertEqual(seen, [200 if request in (page, health) else 204 for request in mixed] + [404])
                self.assertEqual(self.stack.stored() - stored, len(requests), "samples added")

    def test_length_and_chunked_together_is_400(self):
        body = frames.one_sample()
        request = wire.chunked(body, 100).replace(b"\r\n\r\n", f"\r\nContent-Length: {len(body)}\r\n\r\n".encode(), 1)
        self.assertEqual(wire.statuses(self.remora.port, request, 1), [400])
        self.assert_nothing_left()

    def test_curl_with_expect_100_continue(self):
        body = frames.one_sample(text="y" * 5000)
        path = self.stack.folder.path / "body"
        path.write_bytes(body)
        fields = ["Expect: 100-continue", "Content-Type: application/x-protobuf", "Content-Encoding: snappy"]
        command = ["curl", "--silent", "--verbose", "--noproxy", "*", "--expect100-timeout", "10"]
        command += [word for field in fields for word in ("--header", field)]
        command += ["--data-binary", f"@{path}", self.remora.url + "/api/v1/write"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        self.assertIn("HTTP/1.1 100 Continue", done.stderr)
        self.assertRegex(done.stderr, "HTTP/1.1 20[04]")
        self.assert_stored(1)

    def test_ipv6_loopback(self):
        with socket.create_connection(("::1", self.remora.port), timeout=10) as connection:
            connection.sendall(wire.with_length(frames.one_sample()))
            status = wire.read_answer(connection.makefile("rb"))
        self.assertEqual(status // 100, 2, f"status {status}")
        self.assert_stored(1)


class EachRequest(Case):
    """A log with a line for each request."""

    def test_trace_logging_writes_a_line_for_each_write_and_none_for_probes(self):
        with Stack("each-request", environment={"TRACE_LOGGING": "true"}, prometheus=False) as stack:
            body = frames.one_sample()
            for _ in range(2):
                self.assertEqual(stack.remora.post(body).status // 100, 2)
            self.assert_answer(stack.remora.post(body, path="/elsewhere"), 404)
            stack.remora.get("/health")
            self.assertEqual(stack.remora.stop(), 0, "exit status")
            lines = [line for line in stack.remora.process.output().splitlines() if " level=debug " in line]
        known = rf"status=20[04] azure_status=20[04] bytes={len(body)} samples=1"
        expected = (known, known, r"status=404 bytes=\d+")
        self.assertEqual(len(lines), len(expected), lines)
        for line, fields in zip(lines, expected):
            self.assertRegex(line, rf' msg="request answered" {fields} duration_ms=\d+$')


class ForeignPeers(Case):
    """A network namespace with an address that is not loopback."""

    def ask_from_outside(self, *sysctls, **environment):
        """The responses by name: to writes from loopback and from the other address, and to reads from the latter."""
        return told_inside(PEER, json.dumps(environment), *sysctls, seconds=60)

    def test_another_address_may_look_but_not_write(self):
        answers = self.ask_from_outside()
        self.assertEqual(answers["foreign"][0], 403, answers)
        self.assertIn("ALLOWED_SOURCES", answers["foreign"][1])
        self.assertEqual(answers["loopback"][0], 204, answers)
        # The kubelet's probes and a Prometheus outside the pod are foreign peers.
        self.assertEqual([answers[page][0] for page in ("health", "ready", "metrics")], [200, 200, 200], answers)
        self.assertIn('remora_requests_rejected_total{reason="foreign_peer"} 1', answers["metrics"][1])
        self.assertEqual(answers["status"][0], 403, answers["status"])

    def test_a_node_that_keeps_the_families_apart_changes_nothing(self):
        answers = self.ask_from_outside("net.ipv6.bindv6only=1")
        self.assertEqual([answers[name][0] for name in ("loopback", "health", "ipv6")], [204, 200, 200], answers)

    def test_neither_senders_nor_strangers_keep_the_others_out(self):
        seen = told_inside(CROWDS, seconds=60)
        crowded = {"probe": 200, "sender": 503, "closed": 1}
        self.assertEqual(seen["senders"], crowded, "while senders hold all their connections, and once these are idle")
        self.assertEqual(seen["scrapes"], [200] * 6, "while 87 peers read none of the pages that they ask for")
        self.assertEqual(seen["stranger"], [200, 0], "one response for each connection of a stranger")
        self.assertEqual(seen["mesh"], [403], "a mesh's proxy speaks for other pods")

    def test_allowed_sources_opens_the_door(self):
        answers = self.ask_from_outside(ALLOWED_SOURCES="192.0.2.0/24")
        self.assertEqual(answers["foreign"][0], 204, answers)
        # A Service routes its next connection to another process; in the pod there is no other.
        self.assertEqual(answers["while it stops"], {"loopback": [204, 204], "foreign": [204, 0]}, answers)


if __name__ == "__main__":
    unittest.main()
