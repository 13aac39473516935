"""A private name server that can be silent, slow or wrong."""

import socket
import struct
import threading
import time

A, AAAA = 1, 28
RESPONSE_RECURSIVE = 0x8180
SERVER_FAILURE, NO_SUCH_NAME = 2, 3
TIME_TO_LIVE = 5


class NameServer(threading.Thread):
    """Answers every query for an A or AAAA record with the same addresses; UDP on 127.0.0.1:53."""

    def __init__(self, addresses):
        super().__init__(daemon=True)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        self._right = tuple(addresses)
        self.heal()

    def heal(self):
        """Restores correct and immediate answers."""
        self.broken = False
        self.asked = 0
        self.addresses = self._right
        self.code = 0
        self.code_of_v6 = 0
        self.silent = False
        self.delay = 0.0

    def break_with(self, **faults):
        """Sets `addresses`, `code` (RFC 1035 §4.1.1), the same for IPv6 alone, `silent` or `delay` in seconds."""
        for name, value in faults.items():
            if not hasattr(self, name):
                raise AttributeError(f"a name server has no {name}")
            setattr(self, name, value)
        self.asked = 0
        self.broken = True

    def run(self):
        while True:
            question, client = self._socket.recvfrom(512)
            self.asked += 1
            if not self.silent:
                threading.Thread(target=self._answer, args=(question, client), daemon=True).start()

    def _answer(self, question, client):
        time.sleep(self.delay)
        code = self.code or (self.code_of_v6 if kind_of(question) == AAAA else 0)
        self._socket.sendto(response(question, self.addresses, code), client)


def response(question, addresses, code):
    """The answer to a message with one question (RFC 1035 §4.1)."""
    end, kind = end_of(question), kind_of(question)
    family, wanted = {A: (socket.AF_INET, False), AAAA: (socket.AF_INET6, True)}.get(kind, (None, None))
    found = [] if code else [address for address in addresses if (":" in address) == wanted]
    head = question[:2] + struct.pack("!HHHHH", RESPONSE_RECURSIVE | code, 1, len(found), 0, 0)
    records = b"".join(record(kind, socket.inet_pton(family, address)) for address in found)
    return head + question[12:end] + records


def end_of(question):
    """Where the one question of a message ends (RFC 1035 §4.1.2)."""
    return question.index(b"\0", 12) + 5


def kind_of(question):
    """The type of record that is asked for."""
    return struct.unpack_from("!H", question, end_of(question) - 4)[0]


def record(kind, address):
    """A resource record for the name in the question, given as a pointer to it."""
    return struct.pack("!HHHIH", 0xC00C, kind, 1, TIME_TO_LIVE, len(address)) + address
