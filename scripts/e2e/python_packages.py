"""Pinned packages from PyPI, each set in a virtual environment of its own below the target folder."""

import os
import subprocess
import venv
from pathlib import Path

from process import Failure

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def python(name, pinned):
    """A Python that has the pinned packages, made on first use."""
    environment = TARGET / f"venv-{name}"
    interpreter = environment / "bin/python"
    stamp = environment / ",".join(pinned)
    if not stamp.exists():
        venv.create(environment, with_pip=True, clear=True)
        command = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pinned]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"expected pip to install {' '.join(pinned)}; saw: {done.stderr}")
        stamp.touch()
    return interpreter
