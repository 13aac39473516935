"""Client assertions, judged by PyJWT beside the emulator."""

import unittest

import azure_identity
import jose
from case import Case, slow
from emulator import Emulator
from process import Failure, WorkFolder


@slow
class Assertion(Case):
    """azure-identity's own assertion: emulator and judge agree on it, so that they can judge another's."""

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
        # MSAL for Python pads its thumbprint, which Entra takes; an assertion of ours has none.
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


if __name__ == "__main__":
    unittest.main()
