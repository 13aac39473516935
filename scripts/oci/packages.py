"""The packages linked into the shipped binary, as cargo resolves them for one target."""

import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

TREE_LINE = re.compile(r"^(\d+)(\S+) v(\S+)(.*)$")
LOCKED = re.compile(r'^name = "(.+)"\nversion = "(.+)"\n(?:source = ".+"\nchecksum = "(.+)")?', re.MULTILINE)


@dataclass
class Package:
    """One crate: `local` if it is a package of this workspace, `checksum` the SHA-256 of the published archive, `folder`
    where that is unpacked."""

    name: str
    version: str
    local: bool
    licence: str = ""
    repository: str = ""
    checksum: str = ""
    folder: Path = Path()
    depends: set = field(default_factory=set)


def linked(target):
    """(name, version) -> Package, the program itself first. Build scripts and procedural macros are not linked."""
    packages = in_tree(run("cargo", "tree", *OF_TREE, "--target", target))
    metadata = json.loads(run("cargo", "metadata", "--locked", "--format-version=1", "--filter-platform", target))
    for about in metadata["packages"]:
        package = packages.get((about["name"], about["version"]))
        if package is not None:
            package.licence = (about["license"] or "").replace("/", " OR ")
            package.repository = about["repository"] or ""
            package.folder = Path(about["manifest_path"]).parent
    for name, version, checksum in checksums():
        if (name, version) in packages:
            packages[name, version].checksum = checksum
    return packages


OF_TREE = ["--locked", "--package", "remora", "--edges", "normal,no-proc-macro", "--prefix", "depth", "--format", "{p}"]


def in_tree(lines):
    """The packages of `cargo tree --prefix depth`; a subtree printed before is a single line with an asterisk."""
    packages, path = {}, []
    for line in lines.splitlines():
        depth, name, version, rest = TREE_LINE.match(line).groups()
        key = (name, version)
        packages.setdefault(key, Package(name, version, local="(/" in rest))
        del path[int(depth) :]
        if path:
            packages[path[-1]].depends.add(key)
        path.append(key)
    return packages


def checksums():
    """(name, version, checksum or empty) of everything in the lock file."""
    with open("Cargo.lock", encoding="utf-8") as lock:
        return LOCKED.findall(lock.read())


def compiler_version():
    """The version of rustc, and so of the standard library and the musl shipped with it."""
    return run("rustc", "--version").split()[1]


def run(*command):
    """A command's output."""
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
