"""With an invalid configuration Remora exits at once, with a status for machines and a line for people."""

import os
import socket
import unittest

from case import Case
from emulator import Emulator
from process import Process, WorkFolder, free_port

CONFIGURATION, RUNTIME = 78, 1
REQUIRED = ("INGESTION_URL", "AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE")


class Configuration(Case):
    """Each test changes one variable of a complete environment."""

    @classmethod
    def setUpClass(cls):
        cls.folder = WorkFolder("configuration")
        emulator = Emulator(cls.folder.path).start()
        cls.complete = emulator.remora_environment()
        emulator.stop()

    @classmethod
    def tearDownClass(cls):
        cls.folder.remove()

    def assert_ends(self, environment, status, *texts):
        """Remora exits with this status and prints all these texts."""
        log = self.folder.path / f"{self._testMethodName}.log"
        process = Process("remora", [os.environ["REMORA_BIN"]], log, environment)
        self.addCleanup(process.kill)
        seen = process.start().wait(10)
        self.assertEqual(seen, status, f"exit status\n{process.tail()}")
        for text in texts:
            self.assertIn(text, process.output(), "what Remora says")
        return process.output()

    def changed(self, **values):
        """The complete environment with other values."""
        return {**self.complete, "LISTENING_PORT": str(free_port()), **values}

    def test_empty_environment_names_every_missing_variable(self):
        self.assert_ends({}, CONFIGURATION, *REQUIRED)

    def test_url_without_tls(self):
        environment = self.changed(INGESTION_URL="http://example.test/write")
        self.assert_ends(environment, CONFIGURATION, "INGESTION_URL", "https")

    def test_url_that_is_none(self):
        self.assert_ends(self.changed(INGESTION_URL="not a url"), CONFIGURATION, "INGESTION_URL", "not a url")

    def test_unknown_identity_type(self):
        environment = self.changed(IDENTITY_TYPE="magic")
        self.assert_ends(environment, CONFIGURATION, "IDENTITY_TYPE", "magic", "workloadIdentity")

    def test_token_file_that_does_not_exist(self):
        missing = str(self.folder.path / "no-such-token")
        environment = self.changed(AZURE_FEDERATED_TOKEN_FILE=missing)
        self.assert_ends(environment, CONFIGURATION, "AZURE_FEDERATED_TOKEN_FILE", missing)

    def test_token_file_that_cannot_be_read(self):
        # A folder: nobody can read it as a file, not even root.
        environment = self.changed(AZURE_FEDERATED_TOKEN_FILE=str(self.folder.path))
        self.assert_ends(environment, CONFIGURATION, "AZURE_FEDERATED_TOKEN_FILE", str(self.folder.path))

    def test_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            for name, other in (("LISTENING_PORT", "ADMIN_PORT"), ("ADMIN_PORT", "LISTENING_PORT")):
                with self.subTest(name):
                    told = f'msg="cannot listen" name={name} value={port} err="Address in use'
                    # Senders and probes go to the first one.
                    places = ", and with it the containerPort of rw-port and the port in the sender's URL"
                    places = places if name == "LISTENING_PORT" else ""
                    fix = f'fix="free the port, or set {name} to another one{places}"'
                    output = self.assert_ends(self.changed(**{name: port}), RUNTIME, told, fix)
                    self.assertNotIn(other, output)

    def test_two_faults_are_told_at_once(self):
        environment = self.changed(INGESTION_URL="ftp://x", BODY_MEMORY="lots")
        self.assert_ends(environment, CONFIGURATION, "INGESTION_URL", "BODY_MEMORY", "lots")


if __name__ == "__main__":
    unittest.main()
