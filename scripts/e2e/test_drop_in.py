"""The environment set by Microsoft's own values is all that the sidecar needs, for each identity they cover."""

import re
import unittest

import frames
from case import Case
from pinned import ROOT
from remora import Remora
from stack import Stack

VALUES = ROOT / "scripts/checks/microsoft"
VARIABLE = re.compile(r'- name: ([A-Z_]+)\n +value: "?([^"\n]+)')
# The variables that the workload identity webhook adds to a labelled pod.
WEBHOOK = ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST")


class DropIn(Case):
    """The values are from Microsoft's documentation; only the image differs."""

    def forward_with(self, name, identity, *added):
        """Fills a file's placeholders with the emulator's values, adds the pod's surroundings, and posts a sample."""
        with Stack("drop-in", prometheus=False) as stack:
            emulated = stack.emulator.remora_environment(identity)
            filled = {
                "<INGESTION_URL>": emulated["INGESTION_URL"],
                "<MANAGED-IDENTITY-CLIENT-ID>": emulated.get("AZURE_CLIENT_ID"),
                "<APP-REGISTRATION-CLIENT-ID>": emulated.get("AZURE_CLIENT_ID"),
                "<TENANT-ID>": emulated.get("AZURE_TENANT_ID"),
                "/mnt/secrets-store/<CERT-NAME>": str(stack.emulator.folder / "client-no-password.pfx"),
            }
            written = dict(VARIABLE.findall((VALUES / f"{name}.yaml").read_text()))
            environment = {variable: filled.get(value, value) for variable, value in written.items()}
            # The emulator's certificates are from its own authority.
            around = {variable: emulated[variable] for variable in (*added, "SSL_CERT_FILE")}
            remora = Remora(stack.folder.path, environment | around, log="drop-in.log").start()
            self.addCleanup(remora.process.kill)
            before = stack.stored()
            self.assert_answer(remora.post(frames.one_sample()), 204)
            self.assertEqual(stack.stored() - before, 1)
            return set(written)

    def test_microsofts_values_for_workload_identity_forward_samples(self):
        written = self.forward_with("workload-identity", None, *WEBHOOK)
        self.assertEqual(written, {"INGESTION_URL", "LISTENING_PORT", "IDENTITY_TYPE"})

    def test_microsofts_values_for_a_managed_identity_forward_samples(self):
        written = self.forward_with("managed-identity", "imds-user", "AZURE_POD_IDENTITY_AUTHORITY_HOST")
        self.assertIn("AZURE_CLIENT_ID", written)

    def test_microsofts_values_for_an_application_forward_samples(self):
        written = self.forward_with("entra-application", "pfx", "AZURE_AUTHORITY_HOST")
        self.assertIn("AZURE_CLIENT_CERTIFICATE_PATH", written)


if __name__ == "__main__":
    unittest.main()
