"""Kernel limits on one process: control groups of version 1 or 2, and file descriptors."""

import os
import resource
from pathlib import Path

from process import Failure, wait_for

ROOT = Path("/sys/fs/cgroup")
CPU_PERIOD_US = 100_000


class ControlGroup:
    """A control group for one process, with a limit on its memory or its share of a CPU; `remove()` deletes it."""

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
        """Removes groups left by a killed run; a group that contains a process stays."""
        for left in parent.glob(f"{name}-*"):
            try:
                left.rmdir()
            except OSError:
                continue

    @classmethod
    def with_memory(cls, size):
        """Limits memory to `size` bytes."""
        group = cls("memory", "remora-memory")
        group._set("memory.max", "memory.limit_in_bytes", str(size))
        return group

    @classmethod
    def with_cpu(cls, share):
        """Limits CPU time to this share of one CPU."""
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
        """Command prefix that puts a command in the group from the start."""
        return ["sh", "-c", f'echo $$ >{self.path}/cgroup.procs && exec "$@"', "sh"]

    def remove(self):
        """Moves its processes back and removes it."""
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
    """Lets a process keep its file descriptors but open no others; returns a function that undoes this."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    # The limit applies to descriptor numbers, and the lowest free one is used next.
    used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    lowest_free = next(number for number in range(len(used) + 1) if number not in used)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest_free, before[1]))
    return lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
