"""The paths and versions of the programs. scripts/bench sets the paths; otherwise PATH is searched."""

import os
import re
import shutil
import subprocess

from process import Failure

# The flags that print a version, and the pattern that finds it.
_VERSIONS = {
    "nginx": (["-v"], r"nginx/(\S+)"),
    "haproxy": (["-v"], r"version (\S+)"),
    "caddy": (["version"], r"v?(\S+)"),
    "vmagent": (["-version"], r"-(?:tags-)?v?(\d+\.\d+\.\d+)"),
    "wrk": (["-v"], r"wrk (\S+)"),
}


def program(name):
    """The path of a program."""
    path = os.environ.get(f"{name.upper()}_BIN") or shutil.which(name)
    if path is None:
        raise Failure(f"expected {name} on PATH or in {name.upper()}_BIN; scripts/bench --proxies finds them")
    return path


def version(name):
    """The version that a program prints, or `unknown`."""
    flags, pattern = _VERSIONS[name]
    done = subprocess.run([program(name), *flags], capture_output=True, text=True, timeout=20, check=False)
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else "unknown"
