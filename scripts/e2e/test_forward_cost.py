"""The cost of a forwarded request in system calls, as counted by the kernel."""

import os
import re
import signal
import socket
import unittest
from pathlib import Path

from case import Background, Case
from process import Failure, wait_for
from remora import Remora
from stack import Stack

CONNECTIONS = 8
REQUESTS = 250
BODY = bytes(30_000)
# One read of the request, one write to Azure, one read of its response, one write of ours; and process startup. Waits
# are shared by as many requests as arrive meanwhile: they are reported but not counted.
SYSTEM_CALLS = 4.5

HEAD = (
    "POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
    f"Content-Encoding: snappy\r\nUser-Agent: Prometheus/2.42.0\r\nContent-Length: {len(BODY)}\r\n\r\n"
).encode()
CALLS = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", re.MULTILINE)


class ForwardCost(Case):
    """One process between senders that never pause and an Azure that responds at once."""

    def test_a_request_of_30_kb_takes_four_system_calls_beside_waits(self):
        with Stack("forward-cost", prometheus=False) as stack:
            stack.emulator.ask("/faults", {"endpoint": "ingest", "action": {"status": 204}})
            trace = stack.folder.path / "system-calls"
            environment = {**stack.emulator.remora_environment(), "PATH": os.environ["PATH"], "CHECK": "off"}
            wrapper = ("strace", "-f", "-c", "-o", str(trace))
            remora = Remora(stack.folder.path, environment, wrapper, log="counted.log")
            remora.process.start()
            # Each look also takes system calls.
            wait_for("Remora to be ready", remora.is_ready, 30, 0.5, remora.process)
            flood(remora.port)
            # The count includes the start and end of the process.
            os.kill(child_of(remora.process.pid), signal.SIGTERM)
            self.assertEqual(remora.process.wait(10), 0, f"exit status; {stack.where()}")
            counted = {name: int(count) for count, name in CALLS.findall(trace.read_text())}
            calls, waits = (each / (CONNECTIONS * REQUESTS) for each in beside_waits(counted))
            print(f"       {calls:.2f} system calls a request, and {waits:.2f} waits", flush=True)
            self.assertLessEqual(calls, SYSTEM_CALLS, f"system calls a request:\n{trace.read_text()}")


def beside_waits(counted):
    """(system calls other than waits, waits), of {call: count}."""
    waits = counted["epoll_pwait"]
    return sum(counted.values()) - counted["total"] - waits, waits


def child_of(pid):
    """The child process of another process."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def flood(port):
    """Posts the body repeatedly on all connections; each waits for its responses."""
    senders = [Background(send, port) for _ in range(CONNECTIONS)]
    for sender in senders:
        sender.result(120)


def send(port):
    """The requests of one connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        for _ in range(REQUESTS):
            connection.sendall(HEAD + BODY)
            answer = connection.recv(4096)
            if not answer.startswith(b"HTTP/1.1 204"):
                raise Failure(f"expected 204 for every request; saw {answer!r}")


if __name__ == "__main__":
    unittest.main()
