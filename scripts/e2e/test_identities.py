"""Every kind of identity, from a real Prometheus to stored samples."""

import time
import unittest

from case import Case, beside, seconds, slow
from stack import FAILED, RETRIED, Stack

# Remora renews at half of the lifetime, so each run has more than one exchange.
LIFE = ("--token-life", "8s")


@beside
@slow
class Identities(Case):
    """The emulator checks each credential like Azure; a sample is stored only with a token that it issued."""

    def from_prometheus_to_storage(self, identity):
        with Stack(f"identity-{identity}", LIFE, identity=identity) as stack:
            stack.scrape_all()
            time.sleep(seconds(8, 60))
            stack.drain()
            self.assert_nothing_missing(stack, at_least=500)
            metrics = stack.prometheus.metrics()
            self.assertEqual(metrics.get(FAILED, 0), 0, f"samples given up; {stack.where()}")
            self.assertEqual(metrics.get(RETRIED, 0), 0, f"samples sent twice; {stack.where()}")
            issued = stack.emulator.stats()["tokens_issued"]
            self.assertGreaterEqual(issued, 2, f"expected the token to be renewed; {stack.where()}")

    def test_identity_binding(self):
        self.from_prometheus_to_storage("identity-binding")

    def test_secret(self):
        self.from_prometheus_to_storage("secret")

    def test_certificate_in_a_pem_file(self):
        self.from_prometheus_to_storage("certificate")

    def test_certificate_in_a_pfx_file(self):
        self.from_prometheus_to_storage("pfx")

    def test_system_assigned_identity(self):
        self.from_prometheus_to_storage("imds-system")

    def test_user_assigned_identity(self):
        self.from_prometheus_to_storage("imds-user")

    def test_azure_arc(self):
        self.from_prometheus_to_storage("arc")

    def test_app_service(self):
        self.from_prometheus_to_storage("app-service")


if __name__ == "__main__":
    unittest.main()
