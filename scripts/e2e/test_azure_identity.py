"""Microsoft's own Python SDK takes the emulator for Entra, refusals included."""

import os
import subprocess
import unittest
import venv
from pathlib import Path

from case import Case, slow
from emulator import Emulator
from process import Failure, WorkFolder

PINNED = "azure-identity==1.27.0"
ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "venv-azure-identity"

# What an application does; Entra's JSON stands in the exception's text.
APPLICATION = """
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import WorkloadIdentityCredential
try:
    credential = WorkloadIdentityCredential(disable_instance_discovery=True)
    print("token", credential.get_token("https://monitor.azure.com/.default").token)
except ClientAuthenticationError as error:
    print("refused", error.message)
"""


def python():
    """A Python that has azure-identity, made on first use below the target folder."""
    interpreter = ENVIRONMENT / "bin/python"
    stamp = ENVIRONMENT / PINNED
    if not stamp.exists():
        venv.create(ENVIRONMENT, with_pip=True, clear=True)
        command = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PINNED]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"expected pip to install {PINNED}; saw: {done.stderr}")
        stamp.touch()
    return interpreter


@slow
class AzureIdentity(Case):
    """WorkloadIdentityCredential reads the same variables as Remora."""

    @classmethod
    def setUpClass(cls):
        cls.python = python()
        cls.folder = WorkFolder("azure-identity")
        cls.emulator = Emulator(cls.folder.path).start()

    @classmethod
    def tearDownClass(cls):
        cls.emulator.stop()
        cls.folder.remove()

    def ask_for_a_token(self, **projected):
        """What the SDK says, after the projected token was minted with these properties."""
        self.emulator.ask("/projected-token", {**projected, "write": True})
        environment = {**os.environ, **self.emulator.remora_environment()}
        environment["REQUESTS_CA_BUNDLE"] = environment["SSL_CERT_FILE"]
        for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
            environment.pop(name, None)
        command = [self.python, "-c", APPLICATION]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout + done.stderr

    def assert_said(self, said, *texts):
        """The SDK's words contain the texts."""
        for text in texts:
            if text not in said:
                raise Failure(f"expected {text!r} from azure-identity; saw: {said}\n{self.emulator.process.tail()}")

    def test_a_token(self):
        self.assert_said(self.ask_for_a_token(), "token eyJ")

    def test_a_wrong_subject(self):
        said = self.ask_for_a_token(subject="system:serviceaccount:default:default")
        self.assert_said(said, "refused", "AADSTS700213")

    def test_a_wrong_issuer(self):
        said = self.ask_for_a_token(issuer="https://example.test/another-cluster/")
        self.assert_said(said, "refused", "AADSTS700211")

    def test_a_wrong_audience(self):
        said = self.ask_for_a_token(audience="api://AnotherExchange")
        self.assert_said(said, "refused", "AADSTS700212")


if __name__ == "__main__":
    unittest.main()
