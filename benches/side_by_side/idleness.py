"""Memory and wake-ups of contenders without requests, alone and with idle senders."""

import http.client
import select
import time
from typing import NamedTuple

from accounting import resident, wakeups, woken
from contender import CONNECTIONS, FIELDS
from load import PATH
from process import Failure

IDLE_CONNECTIONS = 1000
# Seconds after the last request by which one-off work should be done.
QUIET = 2


class Idle(NamedTuple):
    """Resident bytes, and wake-ups per minute."""

    resident: int
    wakeups: float


def idle(contenders, folder, upstream, body, seconds, connections=0):
    """{name: Idle} of fresh processes, all at the same time, after a request got through on each of their
    connections."""
    running, senders = [], {}
    try:
        for contender in contenders:
            one = contender.start(folder, upstream, CONNECTIONS if connections else None)
            running.append(one.wait_until_forwarding(body))
            senders[contender.name] = [_sender(one, body) for _ in range(connections)]
            contender.settle(one)
        time.sleep(QUIET)
        found = _watch(running, seconds)
        for name, opened in senders.items():
            _must_be_open(name, opened)
        return found
    finally:
        for opened in senders.values():
            for connection in opened:
                connection.close()
        for one in running:
            one.kill()


def _watch(running, seconds):
    before = {one: wakeups(one.pid) for one in running}
    time.sleep(seconds)
    return {
        one.contender.name: Idle(resident(one.pid), woken(earlier, wakeups(one.pid)) * 60 / seconds)
        for one, earlier in before.items()
    }


def _sender(one, body):
    connection = http.client.HTTPConnection("127.0.0.1", one.port, timeout=30)
    connection.request("POST", PATH, body, FIELDS)
    answer = connection.getresponse()
    answer.read()
    if not 200 <= answer.status < 300:
        raise Failure(f"expected {one.contender.name} to forward for every sender; it answered {answer.status}")
    return connection


def _must_be_open(name, opened):
    poll = select.poll()
    for connection in opened:
        if connection.sock is None:
            raise Failure(f"expected {name} to keep its connections; it closed one with its answer")
        poll.register(connection.sock, select.POLLIN)
    closed = len(poll.poll(0))
    if closed:
        raise Failure(f"expected {name} to keep {len(opened)} idle connections; it closed {closed}")
