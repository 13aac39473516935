"""Linux namespaces through unshare(1): as root, or through a user namespace."""

import json
import os
import subprocess
import sys
from pathlib import Path

from process import Dialogue, Failure, WorkFolder


def unshare(*flags):
    """Command prefix that runs a command in new namespaces."""
    way = ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), *flags]
    done = subprocess.run([*way, "true"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(
            "expected to be able to make namespaces; run as root, or allow unprivileged user namespaces (sysctl "
            "kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0); saw: "
            f"{' '.join(way)}: {done.stderr.strip()}"
        )
    return way


def told_inside(program, *arguments, seconds):
    """The JSON printed by a program in a new network namespace within this many seconds."""
    folder = WorkFolder(program.stem)
    command = [*unshare("--net"), sys.executable, "-B", program, *arguments]
    child = Dialogue(program.stem, command, folder.path / "log", dict(os.environ)).start()
    try:
        return json.loads(child.hear(seconds))
    except Failure:
        folder.keep()
        raise
    finally:
        child.kill()
        folder.remove()


def children(pid):
    """Process IDs of the direct children, in this namespace."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = stat.read_text().rsplit(")", 1)[1].split()[1]
        except OSError:
            continue
        if int(parent) == pid:
            found.append(int(stat.parent.name))
    return found
