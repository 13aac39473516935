"""Prometheus' own linter and rule tester, which come with Prometheus."""

import os
import shutil
import subprocess
from pathlib import Path

from process import Failure


def promtool(*words, text=None, folder=None):
    """What promtool says; a Failure with it when it is not content."""
    beside = Path(os.environ.get("PROMETHEUS_BIN") or shutil.which("prometheus") or "prometheus").parent / "promtool"
    binary = str(beside) if beside.exists() else "promtool"
    done = subprocess.run([binary, *words], input=text, capture_output=True, text=True, cwd=folder, check=False)
    if done.returncode != 0:
        raise Failure(f"expected promtool {' '.join(words)} to be content; saw: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr
