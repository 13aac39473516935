"""The azure-emulator process and its control interface."""

import json
import os
import re
import shlex
import subprocess

from namespaces import unshare
from process import Failure, Process, wait_for
from web import fetch

# In the emulator's certificate, but in no DNS (RFC 6761).
ELSEWHERE = "azure.test"

READY = re.compile(r"^azure-emulator ready control=(\S+)", re.MULTILINE)

# The folder belongs to the agent, so it is mounted over an empty /var/opt that no other process sees.
ARC_MOUNT = """
tokens=/var/opt/azcmagent/tokens
mount -t tmpfs tmpfs /var/opt
mkdir -p "$tokens"
mount --bind "$1" "$tokens"
shift
exec "$@"
"""


class Emulator:
    """The emulated Azure; its keys, ports, settings and samples are in `folder` and survive a restart."""

    def __init__(self, folder, *flags):
        self.folder = folder / "azure"
        self.folder.mkdir(exist_ok=True)
        self.binary = os.environ["EMULATOR_BIN"]
        command = [self.binary, "--dir", self.folder, *flags]
        self.process = Process("azure-emulator", command, folder / "azure-emulator.log")
        self.control = None

    def start(self):
        """Starts it and waits for the line that reports all ports open."""
        self.process.start()
        ready = wait_for(
            "azure-emulator to say that it is ready",
            lambda: READY.search(self.process.output()),
            30,
            process=self.process,
        )
        self.control = ready[1].rstrip("/")
        return self

    def stop(self):
        """Stops it; what it stored stays in its folder."""
        return self.process.stop()

    def remora_environment(self, identity=None):
        """The environment that makes Remora use this emulator, from the emulator's file for that kind of identity.

        None means workload identity; others are identity-binding, secret, certificate, pfx, imds-system, imds-user, arc
        and
        app-service.
        """
        name = f"env.{identity}" if identity else "env"
        lines = (self.folder / name).read_text().splitlines()
        words = [word for line in lines for word in shlex.split(line, comments=True) if "=" in word]
        return dict(word.split("=", 1) for word in words)

    def elsewhere(self):
        """What in that environment names the emulator, by a name that only a test's proxy knows: clients reach
        loopback past a proxy.
        """
        environment = self.remora_environment()
        names = ("AZURE_AUTHORITY_HOST", "INGESTION_URL")
        return {name: environment[name].replace("//localhost:", f"//{ELSEWHERE}:") for name in names}

    def arc_wrapper(self):
        """Command prefix for a client of Arc, so that it finds the challenge files where Azure's agent writes them."""
        return [*unshare("--mount"), "sh", "-ec", ARC_MOUNT, "sh", self.folder / "arc-tokens"]

    @property
    def address(self):
        """The `host:port` of its /metrics page."""
        return self.control.split("//", 1)[1]

    def stats(self):
        """Its counters so far; None while it is down."""
        answer = fetch(f"{self.control}/stats")
        return answer.json() if answer.status == 200 else None

    def ask(self, path, body=None, method="POST"):
        """A control request that must succeed."""
        content = None if body is None else json.dumps(body)
        answer = fetch(self.control + path, method, content, {"Content-Type": "application/json"})
        if not 200 <= answer.status < 300:
            raise Failure(f"expected {method} {path} to be accepted; the emulator said {answer.status} {answer.text}")
        return answer

    def compare(self, prometheus, since=None, until=None):
        """(all equal?, the numbers, the first differences) of every sample in `prometheus` compared with the stored
        ones.

        `since` and `until`, in ms since 1970, exclude older and newer samples.
        """
        command = [self.binary, "compare", "--prometheus", prometheus.url, "--emulator", self.control, "--json"]
        command += [] if since is None else ["--since", str(since)]
        command += [] if until is None else ["--until", str(until)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        try:
            numbers = json.loads(done.stdout)
        except ValueError:
            raise Failure(f"expected JSON from {' '.join(command)}; saw: {done.stdout}{done.stderr}") from None
        differences = numbers.pop("differences", [])
        return done.returncode == 0, numbers, "\n".join(f"  {line}" for line in differences)
