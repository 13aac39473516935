"""Reads the memory of a running process, to see what it still contains."""

import base64
import json
import re

# The parts of a JSON web token: header and payload begin with `{"` in base64.
TOKEN = re.compile(rb"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}")


def writable(pid):
    """The content of each writable mapping: heap, stacks, data, anonymous memory."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            if not rights.startswith("rw"):
                continue
            start, end = (int(place, 16) for place in span.split("-"))
            memory.seek(start)
            try:
                yield memory.read(end - start)
            except OSError:
                # The mapping has disappeared meanwhile, or cannot be read.
                continue


def tokens(pid):
    """Every JSON web token in readable memory, with its claims."""
    found = {}
    for content in writable(pid):
        for match in TOKEN.finditer(content):
            claims = _claims(match[0])
            if claims:
                found[match[0]] = claims
    return found


def holds(pid, text):
    """Whether these bytes occur anywhere in memory."""
    return any(text in content for content in writable(pid))


def _claims(token):
    payload = token.split(b".")[1]
    try:
        return json.loads(base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)))
    except ValueError:
        return None
