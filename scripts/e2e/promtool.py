"""Prometheus' own linter and rule tester, shipped with Prometheus."""

import os
import shutil
import subprocess
from pathlib import Path

from process import Failure


def promtool(*words, text=None, folder=None):
    """promtool's output; a Failure with it if promtool reports an error."""
    beside = Path(os.environ.get("PROMETHEUS_BIN") or shutil.which("prometheus") or "prometheus").parent / "promtool"
    binary = str(beside) if beside.exists() else "promtool"
    done = subprocess.run([binary, *words], input=text, capture_output=True, text=True, cwd=folder, check=False)
    if done.returncode != 0:
        raise Failure(f"expected promtool {' '.join(words)} to be content; saw: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr
