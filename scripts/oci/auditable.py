"""The dependency list inside the binary, as written by cargo-auditable and read by scanners.

The format is that of rust-secure-code/cargo-auditable, PARSING.md: JSON, compressed with zlib, in a section `.dep-v0`.
It is added after linking, so that otherwise the image's binary is the one that the tests run.
"""

import json
import shutil
import subprocess
import zlib

SECTION = ".dep-v0"


def listing(packages):
    """The JSON value: packages in order of name and version, dependencies as indices into that order."""
    order = sorted(packages)
    place = {key: number for number, key in enumerate(order)}
    root = next(iter(packages))
    entries = []
    for key in order:
        package = packages[key]
        source = "local" if package.local else "crates.io"
        entry = {"name": package.name, "version": package.version, "source": source}
        if package.depends:
            entry["dependencies"] = sorted(place[other] for other in package.depends)
        if key == root:
            entry["root"] = True
        entries.append(entry)
    return {"packages": entries}


def embed(binary, packages, architecture, made):
    """Writes `made`: the binary with the list of its packages."""
    text = json.dumps(listing(packages), separators=(",", ":"))
    section = made.with_name(made.name + SECTION)
    section.write_bytes(zlib.compress(text.encode(), 9))
    tool = shutil.which(f"{architecture}-linux-gnu-objcopy") or "objcopy"
    change = [f"--add-section={SECTION}={section}", f"--set-section-flags={SECTION}=noload,readonly"]
    subprocess.run([tool, *change, str(binary), str(made)], check=True)
    section.unlink()
