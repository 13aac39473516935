"""Inside a network namespace: what senders and strangers still get while the others hold connections.

Prints the responses as JSON. Strangers connect from a documentation address (RFC 5737), senders from loopback, and a
service mesh's proxy from 127.0.0.6 to the pod's address.
"""

import json
import select
import socket
import subprocess
import time

import frames
import wire
from process import stop_on_signals, wait_for
from stack import Stack
from web import fetch

STRANGER = "192.0.2.1"
MESH = "127.0.0.6"
SENDERS = 24
PAGE = b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n"
STRANGERS = 64
# More than a socket's buffer takes, and less than a sender's inbox.
PAGES = 200
# The least that Linux grants.
SMALLEST_SEGMENT = 88


def main():
    stop_on_signals()
    for command in ("ip link set lo up", f"ip address add {STRANGER}/32 dev lo"):
        subprocess.run(command.split(), check=True)
    with Stack("crowds", environment={"MAX_CONNECTIONS": str(SENDERS)}, prometheus=False) as stack:
        port = stack.remora.port
        told = {
            "senders": beside_silent_senders(stack, port),
            "scrapes": beside_pages_not_read(stack, port),
            "stranger": wire.statuses(port, PAGE * 2, 2, host=STRANGER),
            "mesh": wire.statuses(port, wire.with_length(frames.one_sample()), 1, host=STRANGER, source=MESH),
        }
        print(json.dumps(told))


def beside_silent_senders(stack, port):
    """The status of a probe while senders hold every one of their connections."""
    silent = []
    try:
        while not is_full(stack) and len(silent) < 2 * SENDERS:
            silent.append(socket.create_connection(("127.0.0.1", port), timeout=10))
        probe, sender = fetch(f"http://{STRANGER}:{port}/health").status, stack.remora.get("/health").status
        wait_for("an idle connection to make room", lambda: stack.remora.get("/health").status == 200, 15, every=0.5)
        return {"probe": probe, "sender": sender, "closed": count_closed(silent)}
    finally:
        for connection in silent:
            connection.close()


def beside_pages_not_read(stack, port):
    """The statuses of scrapes, from the pod and from outside, while all others that may connect read no page."""
    silent = []
    try:
        for host, count, pages in ((STRANGER, STRANGERS, 1), ("127.0.0.1", SENDERS - 1, PAGES)):
            silent.extend(ask_and_not_read(host, port, PAGE * pages) for _ in range(count))
        time.sleep(0.5)
        urls = (stack.remora.url, f"http://{STRANGER}:{port}")
        return [fetch(f"{url}/metrics").status for url in urls for _ in range(3)]
    finally:
        for connection in silent:
            connection.close()


def ask_and_not_read(host, port, asked):
    """A connection with small buffers on which the request is sent and nothing is read."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SMALLEST_SEGMENT)
    connection.settimeout(10)
    connection.connect((host, port))
    connection.sendall(asked)
    return connection


def count_closed(connections):
    """How many the other end has closed."""
    return len(select.select(connections, [], [], 0)[0])


def is_full(stack):
    """Whether a sender finds no connection free, and not only because an earlier one is still closing."""
    for _ in range(3):
        if stack.remora.get("/health").status != 503:
            return False
        time.sleep(0.1)
    return True


if __name__ == "__main__":
    main()
