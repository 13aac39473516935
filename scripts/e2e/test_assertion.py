"""Client assertions, judged by both PyJWT and the emulator."""

import json
import ssl
import unittest
import urllib.parse
import urllib.request

import azure_identity
import jose
from case import Case, slow
from emulator import Emulator
from process import Failure, WorkFolder


@slow
class Assertion(Case):
    """azure-identity's own assertion: emulator and judge agree on it, so they can judge those of others."""

    @classmethod
    def setUpClass(cls):
        cls.folder = WorkFolder("assertion")
        cls.emulator = Emulator(cls.folder.path).start()
        cls.certificate = cls.emulator.folder / "client.pem"

    @classmethod
    def tearDownClass(cls):
        cls.emulator.stop()
        cls.folder.remove()

    def test_the_emulator_and_pyjwt_verify_the_same_assertion(self):
        azure_identity.claims(azure_identity.ask(self.emulator, "certificate", "certificate"))
        found = jose.judge_last(self.emulator, self.certificate)
        # MSAL for Python pads its thumbprint, which Entra accepts; Remora's assertions have no padding.
        self.assertEqual((found["chain"], found["padded"]), (0, ["x5t"]))

    def test_a_whole_chain_goes_along(self):
        chain = {"AZURE_CLIENT_CERTIFICATE_PATH": str(self.emulator.folder / "client-chain.pem")}
        chain["AZURE_CLIENT_SEND_CERTIFICATE_CHAIN"] = "true"
        azure_identity.claims(azure_identity.ask(self.emulator, "certificate", "certificate", **chain))
        found = jose.judge_last(self.emulator, self.certificate)
        self.assertEqual((found["chain"], found["names"]["x5c"]), (2, True))

    def test_pyjwt_refuses_another_certificate_and_a_changed_claim(self):
        azure_identity.claims(azure_identity.ask(self.emulator, "certificate", "certificate"))
        raw = jose.assertions(self.emulator)[-1]["raw"]
        header, payload, signature = raw.split(".")
        changed = payload[:-2] + ("AA" if payload[-2:] != "AA" else "BB")
        with self.assertRaises(Failure):
            jose.judge(raw, self.emulator.folder / "client-next.pem")
        with self.assertRaises(Failure):
            jose.judge(f"{header}.{changed}.{signature}", self.certificate)

    def test_an_assertion_that_is_sent_twice_is_noticed(self):
        azure_identity.claims(azure_identity.ask(self.emulator, "certificate", "certificate"))
        self.send(jose.assertions(self.emulator)[-1]["raw"])
        with self.assertRaisesRegex(Failure, "its jti was used before"):
            jose.judge_last(self.emulator, self.certificate)

    def send(self, assertion):
        """A token request with this assertion, which must be granted."""
        env = self.emulator.remora_environment("certificate")
        fields = {
            "grant_type": "client_credentials",
            "client_id": env["AZURE_CLIENT_ID"],
            "scope": env["INGESTION_AAD_AUDIENCE"],
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
        }
        url = f"{env['AZURE_AUTHORITY_HOST']}{env['AZURE_TENANT_ID']}/oauth2/v2.0/token"
        trust = ssl.create_default_context(cafile=env["SSL_CERT_FILE"])
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))
        with opener.open(url, urllib.parse.urlencode(fields).encode(), timeout=30) as answer:
            self.assertIn("access_token", json.load(answer))


if __name__ == "__main__":
    unittest.main()
