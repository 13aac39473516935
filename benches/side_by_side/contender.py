"""What is compared: a program with one configuration, started on a port of its own."""

import os
import time
from pathlib import Path

from load import PATH
from process import Process, free_port, wait_for
from programs import program
from web import fetch

# About as long as the tokens that Entra issues.
AUTHORIZATION = "Bearer " + "x" * 1500
# More than the number of idle connections in a run.
CONNECTIONS = 1100


class Running:
    """A contender's process and its port."""

    def __init__(self, contender, process, port):
        self.contender = contender
        self.process = process
        self.port = port

    @property
    def pid(self):
        """The process id."""
        return self.process.pid

    def post(self, body):
        """One request on a connection of its own."""
        return fetch(f"http://127.0.0.1:{self.port}{PATH}", "POST", body, FIELDS, 60)

    def is_forwarding(self, body):
        """Whether a request gets through."""
        return 200 <= self.post(body).status < 300

    def wait_until_forwarding(self, body):
        """Waits until it forwards; returns itself."""
        what = f"{self.contender.name} to forward"
        wait_for(what, lambda: self.is_forwarding(body), 30, process=self.process)
        return self

    def kill(self):
        """Kills it at once."""
        self.process.kill()


FIELDS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


class Contender:
    """One contender. `authorizes`: it sets Authorization. `bodies_survive`: it forwards bodies unchanged."""

    name = ""
    about = ""
    authorizes = True
    bodies_survive = True

    def start(self, folder, upstream, connections=None, process=Process):
        """Starts it with `upstream`; `connections` is the number of senders it must allow, if it has to be
        configured."""
        port = free_port()
        own = folder / f"{self.name}-{port}"
        own.mkdir()
        command = self.command(own, port, upstream)
        env = {"PATH": os.environ["PATH"], "HOME": str(own), **self.environment(port, upstream, connections)}
        return Running(self, process(self.name, command, own / "log", env).start(), port)

    def command(self, folder, port, upstream):
        """The command line that starts it; its own files go to `folder`."""
        raise NotImplementedError

    def environment(self, _port, _upstream, _connections):
        """Its environment variables."""
        return {}

    def settle(self, _running):
        """Waits until everything it accepted is forwarded, if it accepts requests before forwarding them."""


class Floor(Contender):
    """The minimum cost."""

    name = "floor"
    about = "recv, seal, send on one thread; no check, no limit, no retry"

    def command(self, _folder, port, upstream):
        binary = Path(os.environ["BENCH_BIN_DIR"]) / "floor"
        addresses = [f"127.0.0.1:{port}", f"127.0.0.1:{upstream.tls_port}"]
        return [binary, *addresses, "localhost", upstream.roots, AUTHORIZATION]


class Remora(Contender):
    """A build of Remora with settings; its configuration for Azure comes from the emulator."""

    INGESTION = (
        "https://localhost:{port}/dataCollectionRules/dcr-00000000000000000000000000000000"
        "/streams/Microsoft-PrometheusMetrics/api/v1/write?api-version=2023-04-24"
    )

    def __init__(self, name, binary, emulator, settings):
        self.name = name
        self.about = " ".join(f"{key}={value}" for key, value in settings.items()) or "as configured by default"
        self.binary = Path(binary)
        self._emulator = emulator
        self._settings = settings

    def command(self, _folder, _port, _upstream):
        return [self.binary]

    def environment(self, port, upstream, connections):
        own = {
            "LISTENING_PORT": str(port),
            "SSL_CERT_FILE": str(upstream.roots),
            "INGESTION_URL": self.INGESTION.format(port=upstream.tls_port),
        }
        many = {} if connections is None else {"MAX_CONNECTIONS": str(connections)}
        return {**self._emulator.remora_environment(), **own, **many, **self._settings}


class Hyper(Contender):
    """What one would write with hyper and rustls in an afternoon."""

    def __init__(self, name, about):
        self.name = name
        self.about = f"hyper and rustls, one thread, {about}; no check, no limit, no retry"

    def command(self, _folder, port, upstream):
        binary = Path(os.environ["BENCH_BIN_DIR"]) / self.name
        way = ("--port", port, "--to", upstream.tls_port)
        return [binary, *way, "--authority", upstream.roots, "--authorization", AUTHORIZATION]


HYPER = (
    ("hyper-musl", "musl, ring"),
    ("hyper-glibc", "glibc, ring"),
    ("hyper-aws-lc", "glibc, aws-lc"),
)


class Vmagent(Contender):
    """Accepts, then decodes, queues, encodes and posts: not a proxy, and reported as such."""

    name = "vmagent"
    about = "no proxy: acknowledges before it sends, decodes, queues and encodes again; counted by what it accepted"
    bodies_survive = False
    # The default of -remoteWrite.flushInterval.
    flush_seconds = 1

    def command(self, folder, port, upstream):
        token = folder / "token"
        token.write_text(AUTHORIZATION.removeprefix("Bearer "))
        return [
            program("vmagent"),
            f"-httpListenAddr=127.0.0.1:{port}",
            f"-remoteWrite.url=https://localhost:{upstream.tls_port}{PATH}",
            f"-remoteWrite.tlsCAFile={upstream.roots}",
            f"-remoteWrite.bearerTokenFile={token}",
            f"-remoteWrite.tmpDataPath={folder / 'queue'}",
        ]

    def environment(self, _port, _upstream, _connections):
        return {"GOMAXPROCS": "1"}

    def settle(self, running):
        # Data that is not flushed yet is not counted as pending.
        time.sleep(1.5 * self.flush_seconds)
        wait_for("vmagent to empty its queue", lambda: pending_bytes(running) == 0, 60, process=running.process)


def pending_bytes(running):
    """Bytes that vmagent has accepted but not sent."""
    lines = fetch(f"http://127.0.0.1:{running.port}/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("vmagent_remotewrite_pending_"))
