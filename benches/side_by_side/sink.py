"""What the contenders forward to: an nginx that takes everything and answers 204, by TLS 1.3 and without TLS."""

import subprocess
from pathlib import Path
from typing import NamedTuple

from cells import AES_128, AES_256
from process import Process, free_port, wait_for
from programs import program
from web import fetch

CONFIG = """\
daemon off;
master_process off;
pid {folder}/sink.pid;
error_log {folder}/sink-errors.log;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    client_max_body_size 64m;
    client_body_buffer_size 256k;
    client_body_temp_path {folder}/sink-bodies;
    proxy_temp_path {folder}/sink-unused;
    fastcgi_temp_path {folder}/sink-unused;
    uwsgi_temp_path {folder}/sink-unused;
    scgi_temp_path {folder}/sink-unused;
    ssl_certificate {folder}/certificate.pem;
    ssl_certificate_key {folder}/key.pem;
    ssl_protocols TLSv1.3;
    {servers}
    server {{ listen 127.0.0.1:{plain} backlog=4096; location / {{ return 204; }} }}
}}
"""
SERVER = """\
server {{
        listen 127.0.0.1:{port} ssl backlog=4096;
        ssl_conf_command Ciphersuites {suite};
        location / {{ return 204; }}
    }}"""


class Upstream(NamedTuple):
    """Where a contender forwards to: ports on loopback, and the file of roots by which `localhost` is known."""

    tls_port: int
    plain_port: int
    suite: str
    roots: Path


def make_certificate(folder):
    """A key and a certificate for localhost, signed by itself; the certificate's path."""
    certificate = folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "30", "-keyout", folder / "key.pem", "-out", certificate, "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command += ["-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run([str(word) for word in command], check=True, capture_output=True, timeout=60)
    return certificate


class Sink:
    """The nginx at the end; one process for all ciphers."""

    def __init__(self, folder, roots):
        self._roots = roots
        self._ports = {suite: free_port() for suite in (AES_128, AES_256)}
        self.plain_port = free_port()
        config = folder / "sink.conf"
        servers = "\n    ".join(SERVER.format(port=port, suite=suite) for suite, port in self._ports.items())
        config.write_text(CONFIG.format(folder=folder, servers=servers, plain=self.plain_port))
        self.process = Process("sink", [program("nginx"), "-c", config], folder / "sink.log")

    def start(self):
        """Starts it and waits until it answers."""
        self.process.start()
        url = f"http://127.0.0.1:{self.plain_port}/"
        wait_for("the sink to answer", lambda: fetch(url).status == 204, 10, process=self.process)
        return self

    def upstream(self, suite):
        """Where to forward to for a cipher."""
        return Upstream(self._ports[suite], self.plain_port, suite, self._roots)
