"""How long a contender takes from its start to listening, and to the first forwarded request."""

import os
import socket
import time

from figures import median
from process import Failure, Process

LONGEST = 30
# Until the shell at the gate waits.
GATE_SECONDS = 0.05


class Gated(Process):
    """A process whose program is executed only when `open` is called, by a small shell that waits for it.

    Executing it from a fork of this interpreter would first take down a copy of the interpreter's memory, which costs
    more than the start of a small program.
    """

    def start(self):
        self._gate, self._opener = os.pipe()
        self.command = ["/bin/sh", "-c", 'read -r _ && exec "$@" </dev/null', self.name, *self.command]
        try:
            return super().start()
        finally:
            os.close(self._gate)

    def _streams(self, log):
        return {**super()._streams(log), "stdin": self._gate}

    def open(self):
        """Has the program executed; returns the time just before that. May be called only once."""
        began = time.monotonic()
        os.write(self._opener, b"\n")
        os.close(self._opener)
        return began


def start_times(contender, folder, upstream, body, count):
    """Medians in ms: (to listening, to the first forwarded request)."""
    times = [_once(contender, folder, upstream, body) for _ in range(count)]
    return median(listening for listening, _ in times), median(forwarded for _, forwarded in times)


def _once(contender, folder, upstream, body):
    running = contender.start(folder, upstream, process=Gated)
    try:
        time.sleep(GATE_SECONDS)
        began = running.process.open()
        listening = _until(lambda: _is_listening(running.port), began, 0.0002, running)
        return listening, _until(lambda: running.is_forwarding(body), began, 0.001, running)
    finally:
        running.kill()


def _until(condition, began, every, running):
    while not condition():
        if time.monotonic() - began > LONGEST or running.process.poll() is not None:
            raise Failure(f"expected {running.contender.name} to forward\n{running.process.tail()}")
        time.sleep(every)
    return (time.monotonic() - began) * 1000


def _is_listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
