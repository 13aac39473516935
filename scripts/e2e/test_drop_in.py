"""The environment that Microsoft's own values set is all that the sidecar needs."""

import re
import unittest

import frames
from case import Case
from pinned import ROOT
from remora import Remora
from stack import Stack

VALUES = ROOT / "scripts/checks/microsoft/workload-identity.yaml"
VARIABLE = re.compile(r'- name: ([A-Z_]+)\n +value: "?([^"\n]+)')
# What the workload identity webhook adds to a labelled pod.
WEBHOOK = ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST")


class DropIn(Case):
    """Microsoft's documentation writes the values; only the image is another."""

    def test_microsofts_values_for_workload_identity_forward_samples(self):
        with Stack("drop-in", prometheus=False) as stack:
            emulated = stack.emulator.remora_environment()
            values = VALUES.read_text().replace("<INGESTION_URL>", emulated["INGESTION_URL"])
            written = dict(VARIABLE.findall(values))
            self.assertEqual(set(written), {"INGESTION_URL", "LISTENING_PORT", "IDENTITY_TYPE"})
            # The emulator's certificates come from an authority of its own.
            added = {name: emulated[name] for name in (*WEBHOOK, "SSL_CERT_FILE")}
            remora = Remora(stack.folder.path, written | added, log="drop-in.log").start()
            self.addCleanup(remora.process.kill)
            before = stack.stored()
            self.assert_answer(remora.post(frames.one_sample()), 204)
            self.assertEqual(stack.stored() - before, 1)


if __name__ == "__main__":
    unittest.main()
