"""Microsoft's Python SDK in its own virtual environment, as a client of the emulator."""

import base64
import json
import os
import subprocess
from pathlib import Path

import pinned
from process import Failure

PINNED = ("azure-identity==1.27.0", "PyJWT==2.15.1")
APPLICATION = Path(__file__).with_name("azure_identity_application.py")


def python():
    """A Python with the pinned packages."""
    return pinned.python("azure-identity", *PINNED) / "python"


def ask(emulator, kind, identity=None, wrapper=(), scope=None, **changes):
    """The SDK's output with the emulator's environment for `identity`; `changes` set or (as None) remove variables."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), **emulator.remora_environment(identity)}
    environment["REQUESTS_CA_BUNDLE"] = environment["SSL_CERT_FILE"]
    environment.update(changes)
    environment = {name: value for name, value in environment.items() if value is not None}
    command = [*wrapper, python(), APPLICATION, kind, *([scope] if scope else [])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout + done.stderr


def claims(said):
    """The claims of the access token in the SDK's output."""
    kind, _, token = said.strip().partition(" ")
    if kind != "token" or token.count(".") != 2:
        raise Failure(f"expected azure-identity to get a token; saw: {said}")
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
