"""Python packages from PyPI, each in an environment of its own below the target folder, made on first use."""

import os
import subprocess
import venv
from pathlib import Path

from process import Failure

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def python_with(*pinned):
    """A Python that has these packages, each named as `name==version`; its folder is named after the first."""
    environment = TARGET / f"venv-{pinned[0].split('==', 1)[0]}"
    interpreter, stamp = environment / "bin/python", environment / ",".join(pinned)
    if not stamp.exists():
        venv.create(environment, with_pip=True, clear=True)
        command = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pinned]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"expected pip to install {' '.join(pinned)}; saw: {done.stderr}")
        stamp.touch()
    return interpreter
