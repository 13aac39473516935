"""Early responses to large bodies: a sender that writes everything before it reads still sees the response."""

import collections
import socket
import unittest

import wire
from case import Background, Case
from process import Failure
from stack import Stack

BODY_BYTES = 3 * 1024 * 1024
REQUESTS = 1000
AT_A_TIME = 4
MOST_SECONDS = 600

ZSTD = wire.HEAD.replace("snappy", "zstd")
ELSEWHERE = wire.HEAD.replace("/api/v1/write", "/api/v1/push")
JSON = wire.HEAD.replace("x-protobuf", "json")


def with_body(head):
    """A request with a body longer than the limit that the test sets."""
    return f"{head}Content-Length: {BODY_BYTES}\r\n\r\n".encode() + b"\0" * BODY_BYTES


# Requests that are refused before their body is read, and the status.
KINDS = {
    "over MAX_BODY_BYTES": (with_body(wire.HEAD), 400),
    "zstd": (with_body(ZSTD), 415),
    "another media type": (with_body(JSON), 415),
    "another path": (with_body(ELSEWHERE), 404),
}


def write_all_then_read(port, request):
    """Like Go's client at its worst: reads no byte of the response before the last byte of the request is written."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            connection.sendall(request)
            return wire.read_answer(connection.makefile("rb"))
    except OSError as error:
        return f"{type(error).__name__}: {error}"


class EarlyRefusals(Case):
    """A network error would be retried without end; a refusal is not."""

    def test_none_of_1000_refused_bodies_of_3_mb_ends_in_a_network_error(self):
        with Stack("early", environment={"MAX_BODY_BYTES": "1MiB"}, prometheus=False) as stack:

            def send(requests):
                answers = (write_all_then_read(stack.remora.port, KINDS[name][0]) for name in requests)
                return collections.Counter(zip(requests, answers))

            requests = [name for name in KINDS for _request in range(REQUESTS // len(KINDS))]
            senders = [Background(send, requests[i::AT_A_TIME]) for i in range(AT_A_TIME)]
            seen = sum((sender.result(MOST_SECONDS) for sender in senders), collections.Counter())
            expected = {(name, status): REQUESTS // len(KINDS) for name, (_request, status) in KINDS.items()}
            if seen != expected:
                raise Failure(f"expected {expected}; saw {seen}\n{stack.remora.process.tail()}")


if __name__ == "__main__":
    unittest.main()
