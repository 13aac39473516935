"""The upstream of the contenders: reads each request completely, then responds 204; with TLS 1.3 and without TLS.

It is our own program because nginx's `return` responds before the body has arrived. A proxy that sees that drops
connections that it would otherwise keep.
"""

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

from cells import AES_128, AES_256
from process import Process, free_port, wait_for
from web import fetch


class Upstream(NamedTuple):
    """Where a contender forwards to: ports on loopback, and the file of roots that verify `localhost`."""

    tls_port: int
    plain_port: int
    suite: str
    roots: Path


def make_certificate(folder):
    """Makes a key and a self-signed certificate for localhost; returns the certificate's path."""
    certificate = folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "30", "-keyout", folder / "key.pem", "-out", certificate, "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command += ["-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run([str(word) for word in command], check=True, capture_output=True, timeout=60)
    return certificate


class Sink:
    """The sink's process, with a port for each cipher."""

    def __init__(self, folder, certificate, roots):
        self._roots = roots
        self._ports = {suite: free_port() for suite in (AES_128, AES_256)}
        self.plain_port = free_port()
        addresses = [f"127.0.0.1:{port}" for port in (self.plain_port, *self._ports.values())]
        command = [Path(os.environ["BENCH_BIN_DIR"]) / "sink", certificate, folder / "key.pem", *addresses]
        self.process = Process("sink", command, folder / "sink.log")

    def start(self):
        """Starts it and waits until it responds."""
        self.process.start()
        url = f"http://127.0.0.1:{self.plain_port}/"
        wait_for("the sink to answer", lambda: fetch(url).status == 204, 10, process=self.process)
        return self

    def upstream(self, suite):
        """The upstream for a cipher."""
        return Upstream(self._ports[suite], self.plain_port, suite, self._roots)
