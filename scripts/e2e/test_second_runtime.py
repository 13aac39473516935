"""The core under another driver: threads and blocking sockets instead of smol."""

import os
import re
import subprocess
import threading
import time
import unittest
from pathlib import Path

from case import Case
from emulator import Emulator
from interceptor import Interceptor
from listener import read_head
from process import Failure, WorkFolder

BODIES = sorted((Path(__file__).parents[2] / "core" / "tests" / "vectors").glob("prometheus-*.snappy"))


class AnsweringTwice(Interceptor):
    """Ingestion on localhost that answers its first write twice, and every other one with 500."""

    def __init__(self, folder):
        self.second_answer_sent = threading.Event()
        super().__init__(folder, "localhost")

    def serve(self, client):
        """Reads writes from one connection."""
        with self._context.wrap_socket(client, server_side=True) as opened:
            while length := re.search(r"Content-Length: (\d+)", read_head(opened)):
                opened.makefile("rb").read(int(length[1]))
                if self.second_answer_sent.is_set():
                    opened.sendall(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")
                    continue
                for _ in range(2):
                    opened.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                    # So that the first one is read by itself.
                    time.sleep(0.05)
                self.second_answer_sent.set()


class SecondRuntime(Case):
    """core/examples/blocking.rs forwards real bodies."""

    def setUp(self):
        self.folder = WorkFolder("second-runtime")
        self.emulator = Emulator(self.folder.path).start()
        self.addCleanup(self.emulator.process.kill)

    def test_threads_and_blocking_sockets_forward_real_bodies(self):
        # The bodies are older than Azure accepts.
        self.emulator.ask("/settings", {"sample_window_s": 0})
        command = [os.environ["BLOCKING_BIN"], self.emulator.folder / "env", *BODIES]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            saw = f"{done.returncode}\n{done.stdout}{done.stderr}"
            raise Failure(f"expected every body to be accepted; saw status {saw}")
        expected = sum(int(body.stem.split("-")[2]) for body in BODIES)
        self.assertGreater(expected, 0, "expected bodies in core/tests/vectors")
        stats = self.emulator.stats()
        self.assertEqual(stats["samples"] + stats["duplicates"], expected, "samples stored")

    def test_what_comes_on_an_idle_connection_is_no_answer(self):
        azure = AnsweringTwice(self.folder.path)
        self.addCleanup(azure.close)
        environment = self.emulator.remora_environment()
        authorities = self.folder.path / "authorities.pem"
        authorities.write_text(Path(environment["SSL_CERT_FILE"]).read_text() + azure.authority.read_text())
        environment["SSL_CERT_FILE"] = authorities
        environment["INGESTION_URL"] = f"https://localhost:{azure.port}/api/v1/write"
        variables = self.folder.path / "env-twice"
        variables.write_text("".join(f"{name}={value}\n" for name, value in environment.items()))
        # The example reads the second body when the first is answered, and here not before it is answered again.
        late = self.folder.path / "late.snappy"
        os.mkfifo(late)

        def write_late():
            azure.second_answer_sent.wait()
            late.write_bytes(BODIES[-1].read_bytes())

        threading.Thread(target=write_late, daemon=True).start()
        command = [os.environ["BLOCKING_BIN"], variables, BODIES[-1], late]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(re.findall(r"snappy: (\d+)", done.stdout), ["204", "500"], done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
