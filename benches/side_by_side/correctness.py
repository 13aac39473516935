"""Before anything is measured: every body arrives unchanged, with one Authorization header, set by the contender."""

import http.client
import threading
from collections import Counter

from contender import FIELDS
from load import PATH
from process import Failure

CONNECTIONS = 8
# The sender's value, which must be replaced.
FOREIGN = "Bearer of-the-sender"


def check(contender, folder, verifying, suite, bodies):
    """Raises a Failure that says what is wrong."""
    running = contender.start(folder, verifying.upstream(suite)).wait_until_forwarding(bodies[0])
    try:
        contender.settle(running)
        verifying.arrived()
        _post_all(running, bodies)
        contender.settle(running)
        fault = wrong(contender, [body for body in bodies for _ in range(CONNECTIONS)], verifying.arrived())
    finally:
        running.kill()
    if fault:
        raise Failure(f"{contender.name}: {fault}")


def wrong(contender, sent, arrived):
    """What is wrong with the requests that arrived; None when nothing is."""
    if contender.bodies_survive:
        differences = Counter(sent) - Counter(request.body for request in arrived)
        if differences or len(sent) != len(arrived):
            lost = sum(differences.values())
            return f"expected {len(sent)} bodies bit for bit; {len(arrived)} arrived, {lost} of those sent not among them"
    if contender.authorizes:
        for request in arrived:
            if len(request.authorizations) != 1 or request.authorizations[0] == FOREIGN:
                return f"expected one Authorization, its own; {len(request.authorizations)} arrived"
    return None if arrived else "nothing arrived"


def _post_all(running, bodies):
    """Posts all bodies on each of several connections at once."""
    faults = []
    threads = [threading.Thread(target=_post, args=(running, bodies, faults)) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise Failure(f"{running.contender.name}: {faults[0]}")


def _post(running, bodies, faults):
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    try:
        for body in bodies:
            _post_one(connection, body)
    except (OSError, http.client.HTTPException, Failure) as error:
        faults.append(f"{type(error).__name__}: {error}")
    finally:
        connection.close()


def _post_one(connection, body):
    connection.request("POST", PATH, body, {**FIELDS, "Authorization": FOREIGN})
    answer = connection.getresponse()
    text = answer.read()
    if not 200 <= answer.status < 300:
        raise Failure(f"a body of {len(body)} bytes was answered {answer.status}: {text[:200]!r}")
