"""Texts stored beside the tests and compared, so that changes to what users read are reviewed.

REMORA_WRITE_SNAPSHOTS=1 rewrites them instead.
"""

import difflib
import os
import re
from pathlib import Path

from process import Failure

FOLDER = Path(__file__).parent / "snapshots"
WRITE = os.environ.get("REMORA_WRITE_SNAPSHOTS") == "1"

# What differs from run to run, and its replacement; in this order.
VARYING = [
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z"), "TIME"),
    # The emulator's own IDs share a prefix and are kept.
    (re.compile(r"\b(?!7e57c0de)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "GUID"),
    (re.compile(r"\b(\d+h )?(\d+m )?\d+s\b"), "SPAN"),
    (re.compile(r"(localhost|127\.0\.0\.1|azure\.test):\d+"), r"\1:PORT"),
    (re.compile(r"\bport \d+\b"), "port PORT"),
]


def normalised(text, folder):
    """`text` without anything that differs from run to run."""
    text = text.replace(str(folder), "DIR")
    for pattern, replacement in VARYING:
        text = pattern.sub(replacement, text)
    return text


def compare(name, text):
    """Asserts that the snapshot `name` is `text`; a Failure shows the difference."""
    path = FOLDER / f"{name}.txt"
    if WRITE:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return
    kept = path.read_text() if path.exists() else ""
    if kept != text:
        difference = difflib.unified_diff(kept.splitlines(), text.splitlines(), str(path), "now", lineterm="")
        raise Failure("expected what the snapshot shows; saw\n" + "\n".join(difference))
