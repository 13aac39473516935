"""How long a contender takes from its start to listening, and to the first forwarded request."""

import os
import socket
import struct
import time

from figures import median
from process import Failure, Process

LONGEST = 30


class Stamped(Process):
    """A process that records when its program was executed; the call that starts it may return much later."""

    def start(self):
        self._reader, self._writer = os.pipe()
        return super().start()

    def _before_exec(self):
        super()._before_exec()
        os.write(self._writer, struct.pack("d", time.monotonic()))

    def executed(self):
        """When that was, on the clock of `time.monotonic`; may be called only once."""
        os.close(self._writer)
        with open(self._reader, "rb") as stamp:
            return struct.unpack("d", stamp.read())[0]


def start_times(contender, folder, upstream, body, count):
    """Medians in ms: (to listening, to the first forwarded request)."""
    times = [_once(contender, folder, upstream, body) for _ in range(count)]
    return median(listening for listening, _ in times), median(forwarded for _, forwarded in times)


def _once(contender, folder, upstream, body):
    running = contender.start(folder, upstream, process=Stamped)
    began = running.process.executed()
    try:
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
