"""The Remora process."""

import os
from pathlib import Path

from process import Process, free_port, wait_for
from web import fetch


class Remora:
    """The sidecar on its own port, with exactly the given environment: nothing is inherited."""

    def __init__(self, folder, environment, wrapper=(), binary=None, log="remora.log", flags=()):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        env = dict(environment, LISTENING_PORT=str(self.port))
        command = [*wrapper, binary or os.environ["REMORA_BIN"], *flags]
        self.process = Process("remora", command, folder / log, env)

    @property
    def write_url(self):
        """The write URL for a sender in the pod, as in Microsoft's documentation."""
        return f"http://localhost:{self.port}/api/v1/write"

    def start(self):
        """Starts it and waits until it reports that it holds a token."""
        self.process.start()
        wait_for("Remora to be ready", self.is_ready, 30, process=self.process)
        return self

    def is_ready(self):
        """True if it holds a token; a degraded start does not count."""
        answer = fetch(f"{self.url}/ready")
        return answer.status == 200 and "degraded" not in answer.text

    def get(self, path):
        """The response to a GET."""
        return fetch(self.url + path)

    def post(self, body, fields=None, path="/api/v1/write", method="POST", seconds=60):
        """Posts a body like a 1.0 sender; `fields` replace or (as None) remove the usual ones."""
        usual = {
            "Content-Type": "application/x-protobuf",
            "Content-Encoding": "snappy",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
        }
        usual.update(fields or {})
        kept = {name: value for name, value in usual.items() if value is not None}
        return fetch(self.url + path, method, body, kept, seconds)

    def resident_bytes(self):
        """Current VmRSS; 0 if the process has ended."""
        return resident_bytes(self.process.pid)

    def stop(self):
        """SIGTERM, then the exit status."""
        return self.process.stop(30)


def resident_bytes(pid, field="VmRSS"):
    """A memory line of /proc/PID/status in bytes; 0 if there is none."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    for line in status.splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return 0
