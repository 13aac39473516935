"""The stack behind a link that can break, in the network and mount namespaces of this process."""

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
# A hung request should not outlast its row by much.
ENVIRONMENT = {"UPSTREAM_TIMEOUT": "5s"}
CERTIFICATES = ("ca.pem", "server.pem", "server.key")

# Remora's own view of names; `localhost` is what Azure's certificate is for.
OWN_NAMES = 'mount --bind "$1/hosts" /etc/hosts; mount --bind "$1/resolv.conf" /etc/resolv.conf; shift; exec "$@"'


def run(command):
    """A command of the set-up."""
    subprocess.run(command.split(), check=True, capture_output=True)


class FarStack(Stack):
    """Remora finds Azure by name, at the other end of the link."""

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
    """What a row of the matrix can break; `heal()` mends all of it."""

    def __init__(self):
        run("ip link set lo up")
        self.link = Link(DEVICE)
        self._lay_link()
        self.link.start()
        self.names = NameServer([FAR])
        self.names.start()
        self.stack = FarStack("faults", environment=ENVIRONMENT)
        self._undo = []

    @staticmethod
    def _lay_link():
        run(f"ip address add {HERE}/29 dev {DEVICE}")
        run(f"ip address add 2001:db8:5e::1/64 dev {DEVICE} nodad")
        run(f"ip link set {DEVICE} up")
        # The emulator listens on loopback only.
        run(f"sysctl -q -w net.ipv4.conf.{DEVICE}.route_localnet=1")
        run(f"iptables -t nat -A PREROUTING -i {DEVICE} -p tcp -j DNAT --to-destination 127.0.0.1")

    def begin(self):
        """With the stack up, sets samples on their way."""
        environment = self.stack.emulator.remora_environment()
        self.ingest = urlsplit(environment["INGESTION_URL"]).port
        self.link.services = frozenset({self.ingest, urlsplit(environment["AZURE_AUTHORITY_HOST"]).port})
        self._command = list(self.stack.remora.process.command)
        self._environment = dict(self.stack.remora.process.env)
        self.stack.scrape_all()
        return self

    @property
    def emulator(self):
        """The stand-in for Azure."""
        return self.stack.emulator

    @property
    def remora(self):
        """The process under test."""
        return self.stack.remora.process

    def heal(self):
        """Undoes every fault, the last one first."""
        self.link.heal()
        self.names.heal()
        while self._undo:
            self._undo.pop()()
        self.emulator.ask("/faults", method="DELETE")

    def undo(self, call):
        """Has `heal()` make this call."""
        self._undo.append(call)

    def fault(self, endpoint, action):
        """All requests to the endpoint meet this action."""
        self.emulator.ask("/faults", {"endpoint": endpoint, "action": action})

    def cut(self):
        """Ends all connections to the ingestion endpoint."""
        self.emulator.ask("/endpoints/ingest/stop")
        self.emulator.ask("/endpoints/ingest/start")

    def stop_endpoint(self, name):
        """Nobody listens there."""
        self.emulator.ask(f"/endpoints/{name}/stop")
        self.undo(lambda: self.emulator.ask(f"/endpoints/{name}/start"))

    def change_settings(self, during, after):
        """Settings of the emulator, and what they are set to in the end."""
        self.emulator.ask("/settings", during)
        self.undo(lambda: self.emulator.ask("/settings", after))

    def skew_clock(self, seconds):
        """Azure's clock is so far ahead of ours."""
        self.change_settings({"clock_skew_s": seconds}, {"clock_skew_s": 0})

    def revoke_role(self):
        """Azure refuses the identity."""
        self.emulator.ask("/roles/revoke")
        self.undo(lambda: self.emulator.ask("/roles/grant"))

    def refuse_packets(self, how):
        """The kernel at the far end answers the ingestion port's packets with RST or ICMP."""
        rule = f"INPUT -i {DEVICE} -p tcp --dport {self.ingest} -j REJECT --reject-with {how}"
        run(f"iptables -A {rule}")
        self.undo(lambda: run(f"iptables -D {rule}"))

    def set_mtu(self, size):
        """Longest packet on this side of the link."""
        run(f"ip link set {DEVICE} mtu {size}")
        self.undo(lambda: run(f"ip link set {DEVICE} mtu 1500"))

    def impostor(self, words, after="close", at=None):
        """Somebody else answers at the ingestion endpoint, or only at one of its addresses."""
        server = Impostor(self.emulator.folder, words, after)
        # Packets come back from the link with the address that they were sent to as their source.
        only = f"-s {at} " if at else ""
        rule = f"PREROUTING {only}-i {DEVICE} -p tcp --dport {self.ingest} -j DNAT --to-destination 127.0.0.1:{server.port}"
        run(f"iptables -t nat -I {rule}")
        self.cut()
        self.undo(server.stop)
        self.undo(lambda: run(f"iptables -t nat -D {rule}"))

    def kill_emulator(self):
        """Azure is gone, and comes back with what it had stored."""
        self.emulator.process.kill()
        self.undo(self.emulator.start)

    def distrust(self):
        """Azure comes with a certificate of another authority, and later with its own again."""
        kept = self.stack.folder.path / "certificates"
        kept.mkdir()
        self.emulator.stop()
        for name in CERTIFICATES:
            (self.emulator.folder / name).rename(kept / name)
        # Remora read the authority at its start, so the file in its environment makes no difference.
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
        """Another process, with nothing remembered and without a token."""
        self.remora.kill()
        self.start_remora(wrapper, **environment)

    def changed_remora(self, wrapper=(), **environment):
        """Another process in other circumstances, until the row ends."""
        self.restart_remora(wrapper, **environment)
        self.undo(self.restart_remora)

    def kill_remora(self):
        """Gone without a word, and started again at the end."""
        self.remora.kill()
        self.undo(self.start_remora)

    def stop_remora(self):
        """Told to end, and started again at the end."""
        self.stack.remora.stop()
        self.undo(self.start_remora)

    def freeze_remora(self):
        """Stands still in the middle of whatever it does."""
        self.remora.signal(signal.SIGSTOP)
        self.undo(lambda: self.remora.signal(signal.SIGCONT))

    def starve_descriptors(self):
        """No file descriptor is free, and the connections it had are cut."""
        self.undo(no_more_descriptors(self.remora.pid))
        self.cut()

    def limit_cpu(self, share):
        """Little of one CPU."""
        group = ControlGroup.with_cpu(share)
        group.take(self.remora.pid)
        self.undo(group.remove)

    def limit_memory(self, size):
        """A small container, from the start of the process."""
        group = ControlGroup.with_memory(size)
        self.undo(group.remove)
        self.changed_remora(group.joining())
