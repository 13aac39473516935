"""Inside a network namespace: gives `lo` one more address, runs Remora, and writes from both kinds of address.

Usage: foreign_peer.py FOLDER ENVIRONMENT-AS-JSON [SYSCTL=VALUE]...; prints the answers as JSON. The address is from the
documentation range (RFC 5737), and a connection to it has it as its source too.
"""

import json
import subprocess
import sys
from pathlib import Path

import frames
from process import wait_for
from remora import Remora
from web import fetch

FOREIGN = "192.0.2.1"


def main():
    folder, environment = Path(sys.argv[1]), json.loads(sys.argv[2])
    for command in ("ip link set lo up", f"ip address add {FOREIGN}/32 dev lo"):
        subprocess.run(command.split(), check=True)
    for name, _, value in (word.partition("=") for word in sys.argv[3:]):
        Path("/proc/sys", name.replace(".", "/")).write_text(value)
    remora = Remora(folder, environment)
    remora.process.start()
    wait_for("Remora to listen", lambda: remora.get("/health").status == 200, 10, process=remora.process)
    outside = f"http://{FOREIGN}:{remora.port}"
    fields = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
    answers = {
        "loopback": remora.post(frames.one_sample()),
        "foreign": fetch(f"{outside}/api/v1/write", "POST", frames.one_sample(), fields),
        "health": fetch(f"{outside}/health"),
        "metrics": fetch(f"{outside}/metrics"),
        "ipv6": fetch(f"http://[::1]:{remora.port}/health"),
        "status": fetch(f"{outside}/status"),
    }
    print(json.dumps({name: [answer.status, answer.text] for name, answer in answers.items()}))


if __name__ == "__main__":
    main()
