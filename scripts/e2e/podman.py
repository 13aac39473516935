"""Containers through podman with separate storage, and the kernel's view of the process in one."""

import os
import subprocess
from pathlib import Path

from pinned import run
from process import Failure
from remora import Remora

QEMU = "/usr/bin/qemu-aarch64-static"
# Below any machine's limits, because a container without capabilities cannot raise a limit.
ULIMITS = ["--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096"]
# The settings of the strictest Kubernetes profile, "restricted", plus a read-only file system.
RESTRICTED = ["--read-only", "--read-only-tmpfs=false", "--cap-drop=all", "--security-opt=no-new-privileges"]
MOST_SECONDS = 300


class Podman:
    """Images and containers below one folder."""

    def __init__(self, folder):
        if os.geteuid() != 0:
            again = """sudo env "PATH=$PATH" "HOME=$HOME" scripts/test --only 'e2e image'"""
            raise Failure(f"expected to be root, so that a container can have a memory limit; run: {again}")
        places = [f"--root={folder / 'storage'}", f"--runroot={folder / 'run'}", f"--tmpdir={folder / 'tmp'}"]
        self._command = ["podman", *places, "--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--runtime=runc"]

    def __call__(self, *words):
        """The output of a podman command."""
        return run(*self._command, *words).strip()

    def run_command(self, name, image, environment, memory, *more):
        """The command that runs an image as a restricted container on the host's network, to be followed by its
        flags."""
        files = [f"--volume={value}:{value}:ro" for value in environment.values() if value.startswith("/")]
        names = [f"--env={variable}" for variable in environment]
        bounds = [f"--memory={memory}", f"--timeout={MOST_SECONDS}", *ULIMITS, *RESTRICTED]
        container = ["--rm", f"--name={name}", "--network=host"]
        return [*self._command, "run", *container, *bounds, *files, *names, *more, image]

    def remove(self, name):
        """Removes a container, if it exists."""
        subprocess.run([*self._command, "rm", "--force", "--time=0", name], capture_output=True, check=False)

    def pid(self, name):
        """The container's process, as a process ID on this side."""
        return int(self("inspect", "--format={{.State.Pid}}", name))


class ContainedRemora(Remora):
    """The sidecar from an image."""

    def __init__(self, podman, name, image, folder, environment, memory, *more):
        environment = {**environment, "LISTENING_PORT": ""}
        command = podman.run_command(name, image, environment, memory, *more)
        path = {"PATH": os.environ["PATH"]}
        super().__init__(folder, environment | path, command[:-1], command[-1], f"{name}.log")


def readable_by_all(folder, environment):
    """The environment, with its files copied to where any user can read them."""
    folder.mkdir()
    moved = {}
    for name, value in environment.items():
        if value.startswith("/"):
            copy = folder / Path(value).name
            copy.write_bytes(Path(value).read_bytes())
            copy.chmod(0o644)
            value = str(copy)
        moved[name] = value
    return moved


def status(pid):
    """/proc/PID/status: name -> words."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: rest.split() for name, rest in (line.split(":", 1) for line in lines)}


def memory_limit(pid):
    """The memory limit in bytes of the process's control group, under either version of control groups."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            return int(Path(f"/sys/fs/cgroup/memory{path}/memory.limit_in_bytes").read_text())
        limit = Path(f"/sys/fs/cgroup{path}/memory.max")
        if controllers == "" and limit.exists():
            return int(limit.read_text())
    raise Failure(f"expected a memory limit for process {pid}; its control groups have none")


def root_options(pid):
    """Mount options of the process's root."""
    for line in Path(f"/proc/{pid}/mounts").read_text().splitlines():
        _device, place, _kind, options = line.split()[:4]
        if place == "/":
            return options.split(",")
    raise Failure(f"expected process {pid} to have a root")
