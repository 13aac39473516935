"""Child processes that never outlive the run that started them, and their work folder.

Every child gets its own session (a Ctrl-C at the terminal reaches only us, and we stop the children in order), is
killed by the kernel if we die without warning (PR_SET_PDEATHSIG), and is killed at exit whatever the cause.
"""

import atexit
import ctypes
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
# Seconds granted to a child that has children of its own.
CLEAN_UP = 20
_LIBC = ctypes.CDLL(None, use_errno=True)
_running = []
_handed_out = set()
# The number of this lane, and of all lanes; see lanes.py.
LANE, LANES = map(int, os.environ.get("REMORA_E2E_LANE", "0 1").split())


class Failure(Exception):
    """Something did not happen as expected; the text reports what was expected, what was seen and where to look."""


def _die_with_parent():
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _stop_all():
    for process in reversed(list(_running)):
        process.kill()


atexit.register(_stop_all)


def stop_on_signals():
    """Turns SIGTERM and SIGHUP into a normal exit, so that cleanup runs; SIGINT is Python's KeyboardInterrupt."""
    numbers = (signal.SIGTERM, signal.SIGHUP)

    def end(seen, _frame):
        # Another one must not end the cleanup.
        for number in (*numbers, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        sys.exit(128 + seen)

    for number in numbers:
        signal.signal(number, end)
    # A job started by a non-interactive shell with `&` inherits an ignored SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def free_port():
    """A TCP port with no listener on loopback or on all interfaces; never the same one twice in a run.

    The lanes divide the ports among them, in pairs, since Linux prefers one port of every two for listeners while it
    can.
    """
    while True:
        with socket.socket() as probe:
            probe.bind(("", 0))
            port = probe.getsockname()[1]
        if port not in _handed_out and port // 2 % LANES == LANE:
            _handed_out.add(port)
            return port


def wait_for(what, condition, seconds, every=0.05, process=None):
    """The first truthy value of `condition()`; a Failure that names `what` after `seconds`, or once `process` ends."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if process is not None and process.poll() is not None:
            raise Failure(f"expected {what}; {process.name} ended with {process.poll()}\n{process.tail()}")
        if time.monotonic() > deadline:
            about = f"\n{process.tail()}" if process is not None else ""
            raise Failure(f"expected {what} within {seconds} s; it did not happen{about}")
        time.sleep(every)


class WorkFolder:
    """A temporary folder for one stack; removed at the end unless `keep()` was called."""

    def __init__(self, prefix):
        self.path = Path(tempfile.mkdtemp(prefix=f"remora-{prefix}-"))
        self._kept = False
        atexit.register(self.remove)

    def keep(self):
        """Keeps the folder and the logs in it."""
        self._kept = True

    def remove(self):
        """Removes the folder unless it has to be kept."""
        if not self._kept:
            shutil.rmtree(self.path, ignore_errors=True)


class Process:
    """One child process with its log file."""

    def __init__(self, name, command, log, env=None):
        self.name = name
        self.command = [str(word) for word in command]
        self.log = Path(log)
        self.env = {"PATH": os.environ.get("PATH", os.defpath)} if env is None else env
        self._child = None
        self._log_start = 0

    def start(self):
        """Starts the child; its output is appended to the log."""
        with open(self.log, "ab") as log:
            self._log_start = log.tell()
            self._child = subprocess.Popen(
                self.command,
                env=self.env,
                start_new_session=True,
                preexec_fn=self._before_exec,
                **self._streams(log),
            )
        _running.append(self)
        return self

    def _before_exec(self):
        """Runs in the child, just before the program."""
        _die_with_parent()

    def _streams(self, log):
        return {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}

    @property
    def pid(self):
        """The process ID, in our own PID namespace."""
        return self._child.pid

    def poll(self):
        """The exit status, or None while the child runs."""
        return None if self._child is None else self._child.poll()

    def output(self):
        """The child's output since its last start."""
        with open(self.log, "rb") as log:
            log.seek(self._log_start)
            return log.read().decode("utf-8", "replace")

    def tail(self, lines=15):
        """The end of the output and the path of the log, for failure messages."""
        last = "\n".join(f"    {line}" for line in self.output().splitlines()[-lines:])
        return f"  end of {self.name}'s log {self.log}:\n{last or '    (empty)'}"

    def signal(self, number):
        """Sends a signal, if the child is still running."""
        if self.poll() is None:
            self._child.send_signal(number)

    def wait(self, seconds, why="to end"):
        """The exit status; a Failure if the child is still running after `seconds`."""
        try:
            status = self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"expected {self.name} {why} within {seconds} s; it still runs\n{self.tail()}") from None
        self._forget()
        return status

    def stop(self, seconds=10):
        """SIGTERM, then the exit status; SIGKILL and a Failure if that takes longer than `seconds`."""
        if self._child is None:
            return None
        self.signal(signal.SIGTERM)
        try:
            return self.wait(seconds, "to end after SIGTERM")
        except Failure:
            self.kill()
            raise

    def kill(self):
        """SIGKILL to the child and everything in its process group."""
        if self._child is not None and self.poll() is None:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self._child.wait()
        self._forget()

    def _forget(self):
        if self in _running:
            _running.remove(self)


class Dialogue(Process):
    """A child that responds to lines on standard input with lines on standard output; only its errors are logged."""

    def _streams(self, log):
        return {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log}

    def kill(self):
        """Ends it, after some time to clean up its own children and folders."""
        if self._child is not None and self.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self._child.wait(CLEAN_UP)
            except subprocess.TimeoutExpired:
                pass
        super().kill()

    def tell(self, line):
        """Sends a line."""
        self._child.stdin.write(f"{line}\n".encode())
        self._child.stdin.flush()

    def hear(self, seconds):
        """The next line; a Failure if there is none."""
        if not select.select([self._child.stdout], [], [], seconds)[0]:
            raise Failure(f"expected {self.name} to say something within {seconds} s\n{self.tail()}")
        line = self._child.stdout.readline()
        if not line:
            raise Failure(f"expected {self.name} to say something; it ended\n{self.tail()}")
        return line.decode()
