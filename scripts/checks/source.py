"""Rust source as the checks read it: without comments and tests, and with string literals separated from code."""

import re
from typing import NamedTuple

TOKEN = re.compile(
    r"""
    (?P<comment>//[^\n]*|/\*.*?\*/)
  | (?P<raw>b?r(?P<hashes>\#*)"(?P<raw_text>.*?)"(?P=hashes))
  | (?P<string>b?"(?P<text>(?:\\.|[^"\\])*)")
  | (?P<char>b?'(?:\\.[^']*|[^'\\])')
    """,
    re.VERBOSE | re.DOTALL,
)


class Line(NamedTuple):
    """One line of code: its number, the code without literals, and the literals that begin on it."""

    number: int
    code: str
    strings: list


def product_lines(text):
    """The lines of a file that are part of the product: items after `#[cfg(test)]` are left out."""
    strings = {}

    def blank(match):
        literal = match["raw_text"] if match["raw"] else match["text"]
        if literal is not None:
            strings.setdefault(text.count("\n", 0, match.start()) + 1, []).append(literal)
        kept = "" if match["comment"] or match["char"] else '""'
        return kept + "\n" * match[0].count("\n")

    code = TOKEN.sub(blank, text)
    tests = test_lines(code)
    numbered = enumerate(code.split("\n"), 1)
    return [Line(number, line, strings.get(number, [])) for number, line in numbered if number not in tests]


def test_lines(code):
    """Line numbers of every item after `#[cfg(test)]`; `code` has no literals and no comments."""
    numbers = set()
    for match in re.finditer(r"#\[cfg\(test\)\]", code):
        end = item_end(code, match.end())
        first = code.count("\n", 0, match.start()) + 1
        numbers.update(range(first, first + code.count("\n", match.start(), end) + 1))
    return numbers


def item_end(code, start):
    """The end of the item that begins at `start`: its `;`, or the brace that closes its first one."""
    depth = 0
    for place in range(start, len(code)):
        if code[place] == ";" and depth == 0:
            return place
        if code[place] == "{":
            depth += 1
        if code[place] == "}":
            depth -= 1
            if depth == 0:
                return place
    return len(code)
