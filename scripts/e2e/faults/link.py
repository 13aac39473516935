"""A network link based on a TUN device: packets on it can be lost, delayed, reordered, damaged or dropped.

The device has the address HERE, and FAR and ELSEWHERE are routed into it. Each packet is returned with its addresses
swapped, which leaves every checksum valid. So a connection to FAR arrives at HERE as one from FAR, and both of its
directions cross the link. It needs no traffic shaping in the kernel.
"""

import fcntl
import heapq
import os
import random
import select
import socket
import struct
import threading
import time

HERE, FAR, ELSEWHERE, NOBODY = "198.18.0.1", "198.18.0.2", "198.18.0.3", "198.18.0.4"
NOBODY_V6 = "2001:db8:5e::dead"

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
TCP = 6
RANDOM_SEED = 2026


class Link(threading.Thread):
    """Moves packets; its fields define the faults, and `heal()` clears them."""

    def __init__(self, name):
        super().__init__(daemon=True)
        self._device = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(self._device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
        self._random = random.Random(RANDOM_SEED)
        self._on_the_way = []
        self._count = 0
        self._free_at = 0.0
        self.services = frozenset()
        self.seen = set()
        self.heal()

    def heal(self):
        """Clears all faults."""
        self.broken = False
        self.affected = 0
        self.lose_there = 0.0
        self.lose_back = 0.0
        self.delay = 0.0
        self.jitter = 0.0
        self.repeat = 0.0
        self.damage = 0.0
        self.longest = 65_535
        self.bytes_per_second = 0
        self.only_port = None
        self.forgotten = frozenset()
        self.living = (FAR, ELSEWHERE)

    def break_with(self, **faults):
        """Sets fields: shares of packets from 0 to 1, seconds, bytes, addresses. `only_port` exempts other services."""
        for name, value in faults.items():
            if not hasattr(self, name):
                raise AttributeError(f"a link has no {name}")
            setattr(self, name, value)
        self.broken = True

    def run(self):
        while True:
            wait = max(0.0, self._on_the_way[0][0] - time.monotonic()) if self._on_the_way else None
            if select.select([self._device], [], [], wait)[0]:
                self._take(os.read(self._device, 65_536))
            while self._on_the_way and self._on_the_way[0][0] <= time.monotonic():
                self._deliver(heapq.heappop(self._on_the_way)[2])

    def _take(self, packet):
        if packet[0] >> 4 != 4:
            # Nothing here uses IPv6.
            return
        if socket.inet_ntoa(packet[16:20]) not in self.living:
            self.affected += 1
            return
        there, port, client = self._service(packet)
        if client in self.forgotten:
            self.affected += 1
            return
        self.seen.add(client)
        if self.only_port is not None and port != self.only_port:
            self._deliver(packet)
            return
        if len(packet) > self.longest or self._happens(self.lose_there if there else self.lose_back):
            self.affected += 1
            return
        if self.delay or self.jitter or self.bytes_per_second:
            self.affected += 1
        copies = 2 if self._happens(self.repeat) else 1
        self.affected += copies - 1
        for _copy in range(copies):
            self._count += 1
            heapq.heappush(self._on_the_way, (self._arrival(len(packet)), self._count, self._wear(packet)))

    def _service(self, packet):
        """(whether it goes to a service, the service's port, the client's port)."""
        if packet[9] != TCP:
            return True, None, None
        start = (packet[0] & 0x0F) * 4
        source, destination = struct.unpack_from("!HH", packet, start)
        return (True, destination, source) if destination in self.services else (False, source, destination)

    def _happens(self, share):
        return share > 0 and self._random.random() < share

    def _arrival(self, length):
        now = time.monotonic()
        if self.bytes_per_second:
            self._free_at = max(now, self._free_at) + length / self.bytes_per_second
            now = self._free_at
        return now + self.delay + self._random.random() * self.jitter

    def _wear(self, packet):
        """The packet, with one bit of its last byte flipped if it is to be damaged."""
        if not self._happens(self.damage):
            return packet
        self.affected += 1
        return packet[:-1] + bytes([packet[-1] ^ 1])

    def _deliver(self, packet):
        try:
            os.write(self._device, packet[:12] + packet[16:20] + packet[12:16] + packet[20:])
        except OSError:
            # The device's queue is full, or it is down: the packet is lost.
            pass
