"""What is measured: body sizes, connections, ciphers; and for how long."""

from typing import NamedTuple

from figures import size

AES_128, AES_256 = "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"
SIZES = (1_000, 30_000, 100_000, 1_000_000, 4_000_000)
_SHORT = {AES_128: "AES-128", AES_256: "AES-256"}


class Cell(NamedTuple):
    """One line of the matrix, with which every contender is driven to its limit."""

    bytes: int
    connections: int
    suite: str = AES_128

    @property
    def name(self):
        """As --only sees it."""
        plural = "s" if self.connections > 1 else ""
        return f"{size(self.bytes)}, {self.connections} connection{plural}, {_SHORT[self.suite]}"

    @property
    def stretch(self):
        """Factor by which its turns are longer: work on requests still open at the end of a turn is not counted."""
        return min(8, 1 + self.bytes * self.connections // 4_000_000)


class Pace(NamedTuple):
    """A body posted at a sidecar's real rate."""

    bytes: int
    rate: int = 50
    suite: str = AES_128

    @property
    def name(self):
        """As --only sees it."""
        return f"{size(self.bytes)}, {self.rate} requests/s"


class Plan(NamedTuple):
    """A run: its cells, its turns, and the seconds of each turn.

    Many short turns, so that little changes on the machine between the contenders of a turn.
    """

    cells: tuple
    turns: int
    seconds: int
    paces: tuple
    pace_turns: int
    pace_seconds: int
    idle_seconds: int
    starts: int

    def turns_of(self, cell):
        """The turns of a cell: half as many where they are longer."""
        return self.turns if cell.stretch == 1 else -(-self.turns // 2)


FULL = Plan(
    cells=(
        *(Cell(each, 8) for each in SIZES),
        *(Cell(each, connections) for each in (30_000, 100_000) for connections in (1, 64)),
        Cell(4_000_000, 64),
        *(Cell(each, 8, AES_256) for each in (30_000, 100_000)),
    ),
    turns=15,
    seconds=1,
    paces=(Pace(30_000), Pace(100_000)),
    pace_turns=3,
    pace_seconds=10,
    idle_seconds=20,
    starts=9,
)

QUICK = Plan(
    cells=(Cell(30_000, 8), Cell(100_000, 8)),
    turns=3,
    seconds=1,
    paces=(Pace(30_000),),
    pace_turns=1,
    pace_seconds=3,
    idle_seconds=8,
    starts=3,
)
