"""Hand-made remote-write 1.0 bodies: protobuf fields and a snappy encoder that only writes literals.

A literal-only snappy body is valid (google/snappy format_description.txt §2.1) and about as long as its content, so its
size can be chosen.
"""

import random
import string
import struct
import time

VARINT, FIXED64, BYTES = 0, 1, 2
_LITERAL_WITH_4_LENGTH_BYTES = 63 << 2
_LONGEST_COPY = 64


def varint(number):
    """Base-128, least significant group first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, content):
    """A length-delimited field."""
    return varint(number << 3 | BYTES) + varint(len(content)) + content


def label(name, value):
    """prometheus.Label inside a TimeSeries."""
    return field(1, field(1, name.encode()) + field(2, value.encode()))


def sample(value, timestamp):
    """prometheus.Sample inside a TimeSeries; `timestamp` in ms."""
    return field(2, varint(1 << 3 | FIXED64) + struct.pack("<d", value) + varint(2 << 3 | VARINT) + varint(timestamp))


def series(labels, value, timestamp):
    """prometheus.TimeSeries inside a WriteRequest, with one sample."""
    body = b"".join(label(name, text) for name, text in sorted(labels.items()))
    return field(1, body + sample(value, timestamp))


def literal(content):
    """One snappy literal element of any length."""
    return bytes([_LITERAL_WITH_4_LENGTH_BYTES]) + struct.pack("<I", len(content) - 1) + content


def snappy(*contents):
    """A snappy block with these contents, one literal each."""
    return varint(sum(map(len, contents))) + b"".join(literal(content) for content in contents)


def far_copies(content, offset):
    """A snappy block of content that repeats one byte after `offset` bytes, with copies that reach back by `offset`."""
    whole = 2 * offset
    copies = []
    for start in range(whole, len(content), _LONGEST_COPY):
        length = min(_LONGEST_COPY, len(content) - start)
        copies.append(bytes([(length - 1) << 2 | 3]) + struct.pack("<I", offset))
    return varint(len(content)) + literal(content[:whole]) + b"".join(copies)


def now_ms():
    """The time in the unit of remote write."""
    return int(time.time() * 1000)


def one_sample(name="e2e_probe", value=1.0, timestamp=None, **labels):
    """A complete small body with one sample."""
    return snappy(series({"__name__": name, **labels}, value, timestamp or now_ms()))


class LargeBodies:
    """Bodies of just under `size` bytes: the same series with long random labels, with a new timestamp in each body."""

    def __init__(self, size, label_bytes=4000, seed=1):
        source = random.Random(seed)
        self._labels = []
        each = len(snappy(self._series(0, "x" * label_bytes, now_ms())))
        for number in range(size // each):
            text = "".join(source.choices(string.ascii_letters + string.digits + " -_/", k=label_bytes))
            self._labels.append((number, text))

    @staticmethod
    def _series(number, text, timestamp):
        return series({"__name__": "e2e_large", "i": f"{number:06}", "text": text}, float(number), timestamp)

    @property
    def samples(self):
        """Number of samples in each body."""
        return len(self._labels)

    def body(self, timestamp):
        """The body whose samples carry `timestamp`."""
        return snappy(*(self._series(number, text, timestamp) for number, text in self._labels))
