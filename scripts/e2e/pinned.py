"""Tools of pinned versions that tests compare against, installed on first use below the target folder."""

import os
import subprocess
import sys
import venv
from pathlib import Path

from lanes import alone
from process import Failure

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()


def python(name, *pinned):
    """The `bin` folder of a virtual environment with these packages."""
    folder = TARGET / f"venv-{name}"
    stamp = folder / "installed"
    # It does not work with another Python than the one that made it.
    wanted = "\n".join((sys.version, *pinned))
    TARGET.mkdir(exist_ok=True)
    with alone(TARGET):
        if not stamp.exists() or stamp.read_text() != wanted:
            venv.create(folder, with_pip=True, clear=True)
            pip = [folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            run(*pip, *pinned)
            stamp.write_text(wanted)
    return folder / "bin"


def crate(name, version):
    """The path of a program from crates.io."""
    root = TARGET / "tools-for-scripts"
    run("cargo", "install", "--quiet", "--locked", "--debug", "--root", root, "--version", version, name)
    return root / "bin" / name


def run(*command, **options):
    """A command's output; a Failure with its errors if it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        said = f"it ended with {done.returncode}: {done.stdout}{done.stderr}"
        raise Failure(f"expected {' '.join(words)} to work; {said}")
    return done.stdout
