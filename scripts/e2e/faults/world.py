"""The stack behind a link that can be broken, in the network and mount namespaces of this process."""

import os
import shutil
import signal
import subprocess
from urllib.parse import urlsplit

from namespaces import unshare
from process import wait_for
from stack import Stack

from faults.impostor import Impostor
from faults.limits import ControlGroup, no_more_descriptors
from faults.link import FAR, HERE, Link
from faults.names import NameServer

DEVICE = "azure0"
# A hung request should not last much longer than its row.
ENVIRONMENT = {"UPSTREAM_TIMEOUT": "5s"}
CERTIFICATES = ("ca.pem", "server.pem", "server.key")

# Remora's own name resolution; Azure's certificate is for `localhost`.
OWN_NAMES = 'mount --bind "$1/hosts" /etc/hosts; mount --bind "$1/resolv.conf" /etc/resolv.conf; shift; exec "$@"'


def run(command):
    """Runs a setup command, and returns what it prints."""
    return subprocess.run(command.split(), check=True, capture_output=True, text=True).stdout


def packets(chain, target):
    """How many packets the rules of a chain with this target have met."""
    lines = (line.split() for line in run(f"iptables --verbose --exact --numeric --list {chain}").splitlines())
    return sum(int(words[0]) for words in lines if target in words)


class FarStack(Stack):
    """Remora resolves Azure by name, at the other end of the link."""

    def make_remora(self):
        folder = self.folder.path
        (folder / "hosts").write_text("")
        (folder / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:2\n")
        remora = super().make_remora()
        wrapper = [*unshare("--mount"), "sh", "-ec", OWN_NAMES, "sh", str(folder)]
        remora.process.command = [*wrapper, *remora.process.command]
        remora.process.env["PATH"] = os.environ["PATH"]
        return remora


class World:
    """Everything that a row of the matrix can break; `heal()` restores it."""

    def __init__(self):
        run("ip link set lo up")
        self.link = Link(DEVICE)
        self._lay_link()
        self.link.start()
        self.names = NameServer([FAR])
        self.names.start()
        self.stack = FarStack("faults", environment=ENVIRONMENT)
        self._undo = []
        self._effects = []

    @staticmethod
    def _lay_link():
        run(f"ip address add {HERE}/29 dev {DEVICE}")
        run(f"ip address add 2001:db8:5e::1/64 dev {DEVICE} nodad")
        run(f"ip link set {DEVICE} up")
        # The emulator listens on loopback only.
        run(f"sysctl -q -w net.ipv4.conf.{DEVICE}.route_localnet=1")
        run(f"iptables -t nat -A PREROUTING -i {DEVICE} -p tcp -j DNAT --to-destination 127.0.0.1")

    def begin(self):
        """Starts the flow of samples once the stack is up."""
        environment = self.stack.emulator.remora_environment()
        self.ingest = urlsplit(environment["INGESTION_URL"]).port
        self.token = urlsplit(environment["AZURE_AUTHORITY_HOST"]).port
        self.link.services = frozenset({self.ingest, self.token})
        self._command = list(self.stack.remora.process.command)
        self._environment = dict(self.stack.remora.process.env)
        self.stack.scrape_all()
        return self

    @property
    def emulator(self):
        """The emulated Azure."""
        return self.stack.emulator

    @property
    def remora(self):
        """The process under test."""
        return self.stack.remora.process

    def idle(self):
        """The faults that have met nothing so far, and so show nothing."""
        idle = [name for name, met in self._effects if not met()]
        if self.emulator.process.poll() is None:
            rules = self.emulator.ask("/faults", method="GET").json()
            idle += [str(rule) for rule in rules if not rule["hits"]]
        idle += ["link"] if self.link.broken and not self.link.affected else []
        return idle + (["names"] if self.names.broken and not self.names.asked else [])

    def heal(self):
        """Undoes every fault, latest first."""
        self._effects.clear()
        self.link.heal()
        self.names.heal()
        while self._undo:
            self._undo.pop()()
        self.emulator.ask("/faults", method="DELETE")

    def undo(self, call):
        """Makes `heal()` call this."""
        self._undo.append(call)

    def fault(self, endpoint, action):
        """Applies this action to all requests of the endpoint."""
        self.emulator.ask("/faults", {"endpoint": endpoint, "action": action})

    def cut(self):
        """Closes all connections to the ingestion endpoint."""
        self.emulator.ask("/endpoints/ingest/stop")
        self.emulator.ask("/endpoints/ingest/start")

    def forget_connections(self):
        """A firewall on the way has forgotten all connections so far: their packets vanish, new connections pass."""
        self.link.break_with(forgotten=frozenset(self.link.seen - {None}))

    def stop_endpoint(self, name):
        """Stops listening at this endpoint."""
        self.emulator.ask(f"/endpoints/{name}/stop")
        self.undo(lambda: self.emulator.ask(f"/endpoints/{name}/start"))

    def change_settings(self, during, after):
        """Changes settings of the emulator, and restores them at the end."""
        self.emulator.ask("/settings", during)
        self.undo(lambda: self.emulator.ask("/settings", after))

    def skew_clock(self, seconds):
        """Sets Azure's clock this far ahead of ours."""
        self.change_settings({"clock_skew_s": seconds}, {"clock_skew_s": 0})

    def revoke_role(self):
        """Azure refuses the identity."""
        self.emulator.ask("/roles/revoke")
        self.undo(lambda: self.emulator.ask("/roles/grant"))

    def refuse_packets(self, how):
        """The kernel at the far end rejects packets to the ingestion port with RST or ICMP."""
        rule = f"INPUT -i {DEVICE} -p tcp --dport {self.ingest} -j REJECT --reject-with {how}"
        run(f"iptables -A {rule}")
        self.undo(lambda: run(f"iptables -D {rule}"))
        self._effects.append((how, lambda: packets("INPUT", "REJECT")))

    def set_mtu(self, size):
        """Sets the longest packet on this side of the link."""
        run(f"ip link set {DEVICE} mtu {size}")
        self.undo(lambda: run(f"ip link set {DEVICE} mtu 1500"))

    def impostor(self, words, after="close", at=None, port=None):
        """Somebody else answers at the ingestion endpoint or another one, or only at one of its addresses."""
        server = Impostor(self.emulator.folder, words, after)
        # Packets come back from the link with the address that they were sent to as their source.
        only = f"-s {at} " if at else ""
        there = f"-i {DEVICE} -p tcp --dport {port or self.ingest}"
        rule = f"PREROUTING {only}{there} -j DNAT --to-destination 127.0.0.1:{server.port}"
        run(f"iptables -t nat -I {rule}")
        self.cut()
        self._effects.append((f"impostor {words[:20]}", lambda: server.served))
        self.undo(server.stop)
        self.undo(lambda: run(f"iptables -t nat -D {rule}"))

    def kill_emulator(self):
        """Azure goes down, and returns with what it had stored."""
        self.emulator.process.kill()
        self.undo(self.emulator.start)

    def distrust(self):
        """Azure presents a certificate from another authority, and later its own again."""
        kept = self.stack.folder.path / "certificates"
        kept.mkdir()
        self.emulator.stop()
        for name in CERTIFICATES:
            (self.emulator.folder / name).rename(kept / name)
        # Remora read the authority at startup, so the file in its environment makes no difference.
        self.emulator.start()
        self.undo(lambda: self._trust_again(kept))

    def _trust_again(self, kept):
        self.emulator.stop()
        for name in CERTIFICATES:
            (kept / name).replace(self.emulator.folder / name)
        shutil.rmtree(kept)
        self.emulator.start()

    def start_remora(self, wrapper=(), **environment):
        """Starts Remora, whose old process has ended, and waits only until it listens."""
        self.remora.command = [*wrapper, *self._command]
        self.remora.env = {**self._environment, **environment}
        self.remora.start()
        listening = lambda: self.stack.remora.get("/health").status == 200  # noqa: E731
        wait_for("Remora to listen again", listening, 20, process=self.remora)

    def restart_remora(self, wrapper=(), **environment):
        """A new process, without memory or token."""
        self.remora.kill()
        self.start_remora(wrapper, **environment)

    def changed_remora(self, wrapper=(), **environment):
        """A process under other conditions, until the row ends."""
        self.restart_remora(wrapper, **environment)
        self.undo(self.restart_remora)

    def kill_remora(self):
        """Killed with SIGKILL, and started again at the end."""
        self.remora.kill()
        self.undo(self.start_remora)

    def stop_remora(self):
        """Stopped with SIGTERM, and started again at the end."""
        self.stack.remora.stop()
        self.undo(self.start_remora)

    def freeze_remora(self):
        """Suspended at an arbitrary point."""
        self.remora.signal(signal.SIGSTOP)
        self.undo(lambda: self.remora.signal(signal.SIGCONT))

    def starve_descriptors(self):
        """No file descriptor is free, and the existing connections are cut."""
        self.undo(no_more_descriptors(self.remora.pid))
        self.cut()

    def limit_cpu(self, share):
        """Limits Remora to a small share of one CPU."""
        group = ControlGroup.with_cpu(share)
        group.take(self.remora.pid)
        self.undo(group.remove)

    def limit_memory(self, size):
        """A small container from the start of the process."""
        group = ControlGroup.with_memory(size)
        self.undo(group.remove)
        self.changed_remora(group.joining())
