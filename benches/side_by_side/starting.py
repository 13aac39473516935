"""How long a contender takes from its start to listening, and to the first request that came through."""

import socket
import time

from figures import median
from process import Failure

LONGEST = 30


def start_times(contender, folder, upstream, body, count):
    """Medians in ms: (to listening, to the first forwarded request)."""
    times = [_once(contender, folder, upstream, body) for _ in range(count)]
    return median(listening for listening, _ in times), median(forwarded for _, forwarded in times)


def _once(contender, folder, upstream, body):
    running = contender.start(folder, upstream)
    # The start returns once the program is executed.
    began = time.monotonic()
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
