"""Limits that the kernel puts on one process: control groups of version 1 or 2, and file descriptors."""

import os
import resource
from pathlib import Path

from process import Failure, wait_for

ROOT = Path("/sys/fs/cgroup")
CPU_PERIOD_US = 100_000


class ControlGroup:
    """A control group for one process, with a limit on its memory or its share of a CPU; `remove()` ends it."""

    def __init__(self, controller, name):
        self._unified = (ROOT / "cgroup.controllers").exists()
        parent = ROOT if self._unified else ROOT / controller
        self.path = parent / f"{name}-{os.getpid()}"
        self._home = parent / "cgroup.procs"
        self._sweep(parent, name)
        try:
            if self._unified:
                (ROOT / "cgroup.subtree_control").write_text(f"+{controller}")
            self.path.mkdir()
        except OSError as error:
            raise Failure(f"expected to be able to make a control group for {controller}; saw: {error}") from None

    @staticmethod
    def _sweep(parent, name):
        """Removes what a run left that was killed; a group with a process in it stays."""
        for left in parent.glob(f"{name}-*"):
            try:
                left.rmdir()
            except OSError:
                continue

    @classmethod
    def with_memory(cls, size):
        """At most `size` bytes."""
        group = cls("memory", "remora-memory")
        group._set("memory.max", "memory.limit_in_bytes", str(size))
        return group

    @classmethod
    def with_cpu(cls, share):
        """At most this share of one CPU."""
        group = cls("cpu", "remora-cpu")
        quota = int(CPU_PERIOD_US * share)
        group._set("cpu.max", "cpu.cfs_quota_us", f"{quota} {CPU_PERIOD_US}" if group._unified else str(quota))
        return group

    def _set(self, unified, first, value):
        (self.path / (unified if self._unified else first)).write_text(value)

    def take(self, pid):
        """Moves a process into the group."""
        (self.path / "cgroup.procs").write_text(str(pid))

    def joining(self):
        """The words to put before a command, so that it is in the group from its start."""
        return ["sh", "-c", f'echo $$ >{self.path}/cgroup.procs && exec "$@"', "sh"]

    def remove(self):
        """Moves what is in it back and removes it."""
        for pid in (self.path / "cgroup.procs").read_text().split():
            try:
                self._home.write_text(pid)
            except ProcessLookupError:
                pass
        wait_for(f"{self.path} to be removed", self._removed, 5)

    def _removed(self):
        try:
            self.path.rmdir()
        except OSError:
            return not self.path.exists()
        return True


def no_more_descriptors(pid):
    """Lets a process keep the file descriptors that it has, and open no other; gives what undoes that."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    # The limit is on the number of a descriptor, and the lowest free one is taken.
    used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    lowest_free = next(number for number in range(len(used) + 1) if number not in used)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest_free, before[1]))
    return lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
