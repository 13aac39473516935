"""Inside a network namespace: gives `lo` another address, runs Remora, and writes from both kinds of address, and again
while Remora stops.

Usage: foreign_peer.py ENVIRONMENT-AS-JSON [SYSCTL=VALUE]...; prints the responses as JSON. The address is from the
documentation range (RFC 5737); a connection to it also has it as its source.
"""

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import frames
import wire
from process import stop_on_signals, wait_for
from stack import Stack
from web import fetch

FOREIGN = "192.0.2.1"


def main():
    stop_on_signals()
    for command in ("ip link set lo up", f"ip address add {FOREIGN}/32 dev lo"):
        subprocess.run(command.split(), check=True)
    for name, _, value in (word.partition("=") for word in sys.argv[2:]):
        Path("/proc/sys", name.replace(".", "/")).write_text(value)
    with Stack("foreign", environment=json.loads(sys.argv[1]), prometheus=False) as stack:
        told = {name: [answer.status, answer.text] for name, answer in answers(stack).items()}
        print(json.dumps({**told, "while it stops": while_it_stops(stack)}))


def answers(stack):
    """The responses to both kinds of sender, and to other requests from outside."""
    outside = f"http://{FOREIGN}:{stack.remora.port}"
    fields = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
    return {
        "loopback": stack.remora.post(frames.one_sample()),
        "foreign": fetch(f"{outside}/api/v1/write", "POST", frames.one_sample(), fields),
        **{page: fetch(f"{outside}/{page}") for page in ("health", "ready", "metrics", "status")},
        "ipv6": fetch(f"http://[::1]:{stack.remora.port}/health"),
    }


def while_it_stops(stack):
    """By kind of address, the status codes of two writes on one connection; 0 if there was no response."""
    write = wire.with_length(frames.one_sample())
    port = stack.remora.port
    with socket.create_connection(("127.0.0.1", port), timeout=20):
        stack.remora.process.signal(signal.SIGTERM)
        wait_for("/ready to turn 503", lambda: stack.remora.get("/ready").status == 503, 4)
        hosts = {"loopback": "127.0.0.1", "foreign": FOREIGN}
        return {name: wire.statuses(port, write * 2, 2, host=host) for name, host in hosts.items()}


if __name__ == "__main__":
    main()
