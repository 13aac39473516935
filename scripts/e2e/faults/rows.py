"""The fault matrix: each row has a name, a cause and a duration. `World.heal()` ends all of them."""

from typing import Callable, NamedTuple

from process import wait_for

from faults.link import ELSEWHERE, FAR, NOBODY, NOBODY_V6
from faults.outlets import closed_standard_error, full_standard_error

SECONDS = 4
NO_SUCH_NAME, SERVER_FAILURE = 3, 2
MIB = 1024 * 1024
# As many as Entra's name has.
EIGHT_V6 = tuple(NOBODY_V6.replace("dead", f"de{number:02}") for number in range(8))


class Row(NamedTuple):
    """One fault. Those marked `quick` are in every run, the others only in the long form.

    `through` is for faults that slow samples down without stopping them: some must be stored before the fault ends. On a
    slow machine it may last `longer`, where that does not change what is shown.
    """

    name: str
    cause: Callable
    quick: bool = False
    seconds: float = SECONDS
    through: bool = False
    longer: float = 0


def link(**faults):
    """Breaks the link to the ingestion endpoint."""
    return lambda world: world.link.break_with(only_port=world.ingest, **faults)


def azure(action):
    """Applies an action to every request of the ingestion endpoint."""
    return lambda world: world.fault("ingest", action)


def reset_at_once(world):
    """Connections are reset before TLS begins, and the existing one is closed."""
    world.fault("ingest", {"reset": "accept"})
    world.cut()


def answer(status, **headers):
    """The ingestion endpoint responds with this status."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return azure({"status": status, "headers": fields, "body": "fault"})


def impostor(words, after="close"):
    """The ingestion endpoint sends these bytes whatever the request."""
    return lambda world: world.impostor(words, after)


def after_restart(cause):
    """The fault meets a freshly started Remora: without address, connection or token."""

    def begin(world):
        cause(world)
        world.restart_remora()

    return begin


def names(**faults):
    """The name server behaves like this, and Remora has to query it."""
    return after_restart(lambda world: world.names.break_with(**faults))


def token(action):
    """The token endpoint does this, and Remora needs a token."""
    return after_restart(lambda world: world.fault("token", action))


def moved(world):
    """The name gets another address, and the old one stops responding."""
    world.names.break_with(addresses=(ELSEWHERE,))
    world.link.break_with(living=(ELSEWHERE,))
    # For the next row, Azure is where it was.
    world.undo(world.restart_remora)


def moved_and_refused(world):
    """The name gets another address, and the old one refuses on connections that it keeps open."""
    world.names.break_with(addresses=(ELSEWHERE,))
    world.impostor(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "answer", at=FAR)
    world.undo(world.restart_remora)


def forgotten(world):
    """A firewall forgets the open connections. With this timeout, half of it is told from all of it."""
    world.changed_remora(UPSTREAM_TIMEOUT="12s")
    stored = world.stack.stored()
    wait_for("a write on a new connection", lambda: world.stack.stored() > stored, 20)
    world.forget_connections()


def mute_first(world):
    """The first address accepts connections and says nothing, the second one is healthy."""
    world.impostor(b"", "mute", at=ELSEWHERE)
    names(addresses=(ELSEWHERE, FAR))(world)


def mute_token_endpoint(world):
    """The same at the token endpoint, where the second attempt uses the other address."""
    world.impostor(b"", "mute", at=ELSEWHERE, port=world.token)
    names(addresses=(ELSEWHERE, FAR))(world)


def expiring(world):
    """The token endpoint is down for longer than the current token is valid."""
    world.change_settings({"token_life_s": 6}, {"token_life_s": 86_399})
    world.restart_remora()
    world.undo(world.restart_remora)
    world.stop_endpoint("token")


NETWORK = (
    Row("loss of 5 percent", link(lose_there=0.05, lose_back=0.05), quick=True, through=True, longer=10),
    Row("loss of 30 percent", link(lose_there=0.3, lose_back=0.3), seconds=8),
    Row("delay of 300 ms each way", link(delay=0.3), quick=True, through=True, longer=10),
    Row("reordering", link(delay=0.02, jitter=0.1), through=True, longer=10),
    Row("packets twice", link(repeat=0.5), through=True, longer=10),
    Row("damaged packets", link(damage=0.1), through=True, longer=10),
    Row("black hole", link(lose_there=1.0, lose_back=1.0), quick=True),
    Row("black hole on the way there", link(lose_there=1.0)),
    Row("black hole on the way back", link(lose_back=1.0)),
    # By half of UPSTREAM_TIMEOUT they are replaced; without that, by all of it.
    Row("open connections are forgotten", forgotten, quick=True, seconds=11, through=True),
    Row("large packets vanish", link(longest=600)),
    Row("small mtu", lambda world: world.set_mtu(1280), through=True, longer=10),
    Row("5 kB a second", link(bytes_per_second=5_000)),
    Row("reset by the network", lambda world: world.refuse_packets("tcp-reset"), quick=True),
    Row("host unreachable", lambda world: world.refuse_packets("icmp-host-unreachable")),
)

NAMES = (
    Row("no name server", names(silent=True)),
    Row("name server fails", names(code=SERVER_FAILURE)),
    Row("no such name", names(code=NO_SUCH_NAME)),
    Row("name server fails for ipv6", names(code_of_v6=SERVER_FAILURE), quick=True, seconds=8, through=True),
    Row("no such name for ipv6", names(code_of_v6=NO_SUCH_NAME), seconds=8, through=True),
    Row("slow name server", names(delay=0.9), seconds=8, through=True),
    Row("wrong address that refuses", names(addresses=("127.0.0.2",))),
    Row("wrong address that is silent", names(addresses=(NOBODY,))),
    Row("azure moves to another address", moved, quick=True, seconds=10, through=True),
    # Addresses count for a minute without a look at the name.
    Row("azure moves and its old address refuses", moved_and_refused, seconds=95, through=True),
    Row("first address accepts and is mute", mute_first, quick=True, seconds=13, through=True),
    Row("ipv6 dead and ipv4 alive", names(addresses=(NOBODY_V6, FAR)), seconds=13, through=True),
    Row("eight ipv6 addresses dead", names(addresses=EIGHT_V6 + (FAR,)), seconds=13, through=True),
    Row("first address silent", names(addresses=(NOBODY, FAR)), quick=True, seconds=13, through=True),
)

AZURE = (
    Row("status 301", answer(301, Location="/elsewhere")),
    Row("status 307", answer(307, Location="https://localhost:1/elsewhere"), quick=True),
    Row("200 with a web page", answer(200, Content_Type="text/html")),
    Row("400 with a web page", answer(400, Content_Type="text/html"), quick=True),
    Row("status 401", answer(401)),
    Row("status 403", answer(403)),
    Row("status 404", answer(404)),
    Row("status 405", answer(405)),
    Row("status 408", answer(408)),
    Row("status 429", azure({"fail": 429}), quick=True),
    Row("status 429 for an hour", answer(429, Retry_After="3600")),
    Row("status 500", answer(500)),
    Row("status 502", answer(502)),
    Row("status 503", answer(503, Retry_After="1")),
    Row("status 504", answer(504)),
    Row("role revoked", lambda world: world.revoke_role()),
    Row("ingestion endpoint down", lambda world: world.stop_endpoint("ingest")),
    Row("reset before tls", reset_at_once),
    Row("reset in the body", azure({"reset": "request_body"})),
    Row("reset before the answer", azure({"reset": "before_head"}), quick=True),
    Row("reset after the answer's head", azure({"reset": "after_head"})),
    Row("reset in the answer's body", azure({"reset": "mid_body"})),
    Row("truncated answer", azure({"truncate": 10})),
    Row("answer at 20 bytes a second", azure({"slow": 20})),
    Row("answer after 2 s", azure({"delay_ms": 2000}), through=True),
    Row("close after the answer", azure({"close": "idle"}), quick=True, through=True),
    Row("no answer", azure({"hang": True})),
    Row("body not read", azure({"stall_read": True})),
    Row("answer of 20 MB", azure({"status": 500, "body": "fault", "repeat_to": 20_000_000})),
    Row("emulator killed", lambda world: world.kill_emulator(), quick=True),
    Row("certificate of another authority", lambda world: world.distrust(), quick=True),
    Row("azure's clock 10 minutes ahead", lambda world: world.skew_clock(600), through=True),
    Row("azure's clock 3 minutes behind", lambda world: world.skew_clock(-180)),
)

# Responses before the body is complete, and bytes that are not a response.
CLOSE = b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
IMPOSTOR = (
    Row("503 before the body is out", impostor(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"), quick=True),
    Row("401 before the body is out", impostor(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n")),
    Row("close is announced each time", impostor(CLOSE)),
    Row("nothing but a close", impostor(b"")),
    Row("garbage", impostor(b"\x00\xff\x16\x03 no HTTP\r\n" * 20)),
    Row("endless head", impostor(b"HTTP/1.1 503 Busy\r\nX-Fill: " + b"x" * 4096, after="repeat")),
    Row("endless body", impostor(b"HTTP/1.1 503 Busy\r\n\r\n" + b"x" * 4096, after="repeat")),
    Row("only 100 Continue", impostor(b"HTTP/1.1 100 Continue\r\n\r\n", after="repeat")),
    Row("two lengths", impostor(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n")),
    Row("no head at all", impostor(b"<html>stored</html>")),
)

TOKENS = (
    Row("token endpoint down at the start", after_restart(lambda world: world.stop_endpoint("token"))),
    Row("token endpoint down past the token's end", expiring, seconds=12),
    Row("token endpoint answers 500", token({"fail": 500})),
    Row("token endpoint answers 429", token({"fail": 429})),
    Row("token endpoint is slow", token({"delay_ms": 3000})),
    Row("token endpoint hangs", token({"hang": True})),
    Row("token endpoint's first address is mute", mute_token_endpoint, seconds=25, through=True),
    Row("entra cannot reach the issuer", token({"aadsts": 90061})),
)

PROCESS = (
    Row("remora killed", lambda world: world.kill_remora(), quick=True),
    Row("remora told to stop", lambda world: world.stop_remora()),
    Row("remora frozen", lambda world: world.freeze_remora(), quick=True),
    Row("no file descriptor left", lambda world: world.starve_descriptors()),
    Row("16 MB of memory", lambda world: world.limit_memory(16 * MIB), through=True),
    Row("5 percent of a cpu", lambda world: world.limit_cpu(0.05), through=True),
    Row("standard error closed", closed_standard_error, through=True),
    Row("standard error full", full_standard_error, through=True),
)

ROWS = {row.name: row for row in (*NETWORK, *NAMES, *AZURE, *IMPOSTOR, *TOKENS, *PROCESS)}
