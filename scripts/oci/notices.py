"""The licences of what is linked into the binary, with their notices: they must accompany every copy of it."""

import re
from pathlib import Path

# Apache 2.0, under which the standard library is taken.
APACHE = Path(__file__).resolve().parents[2] / "LICENSE"
FILE = re.compile(r"(LICEN[CS]E|COPYING|COPYRIGHT|NOTICE|UNLICENSE)([.-].*)?", re.IGNORECASE)

HEAD = """\
Remora {version} is licensed under the Apache License 2.0. The program contains the following packages; below the list
are the texts of their licences, each with the packages that come with it.

{list}
"""

# The C library, which comes with Rust's own; from the file COPYRIGHT of its source.
MUSL = """\
Copyright © 2005-2020 Rich Felker, et al.

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def notices(listed, compiler):
    """The text for `listed`, see `packages.linked`, and the libraries of this version of the compiler."""
    foreign = [package for package in listed.values() if not package.local]
    lines = [f"{package.name} {package.version}: {package.licence}" for package in foreign]
    lines += [f"rust-std {compiler}: MIT OR Apache-2.0", "musl: MIT"]
    parts = {}
    own = next(iter(listed.values()))
    texts = [(f"rust-std {compiler}", APACHE.read_text(encoding="utf-8")), ("musl", MUSL)]
    texts += [(f"{package.name} {package.version}", text) for package in foreign for text in package_texts(package)]
    for name, text in texts:
        # Texts that differ only in how their lines are broken are the same.
        known = parts.setdefault(" ".join(text.split()), (text.strip("\r\n"), []))
        known[1].append(name)
    sections = [HEAD.format(version=own.version, list="\n".join(sorted(lines)))]
    for text, names in parts.values():
        sections.append(f"{'=' * 80}\n{', '.join(dict.fromkeys(names))}\n{'=' * 80}\n\n{text}\n")
    return "\n".join(sections)


def package_texts(package):
    """What the licence and notice files in a package's archive say, in the order of their names."""
    files = [path for path in package.folder.iterdir() if path.is_file() and FILE.fullmatch(path.name)]
    return [path.read_text(encoding="utf-8", errors="replace") for path in sorted(files)]
