"""A root folder like that of an image without an operating system."""

import os
import shutil


def furnish(root, environment):
    """Puts the binary and the two files that Kubernetes mounts into an empty folder; returns the matching
    environment."""
    root.mkdir()
    shutil.copy(os.environ["REMORA_BIN"], root / "remora")
    inside = {}
    for name, value in environment.items():
        if name in ("SSL_CERT_FILE", "AZURE_FEDERATED_TOKEN_FILE"):
            place = f"/{os.path.basename(value)}"
            shutil.copy(value, root / place[1:])
            inside[name] = place
        else:
            # There is no /etc/hosts.
            inside[name] = value.replace("//localhost", "//127.0.0.1")
    return inside
