"""Microsoft's own Python SDK accepts the emulator as Azure, whatever the identity, refusals included.

So Remora is tested against more than its authors' idea of Azure.
"""

import time
import unittest

import azure_identity
from case import Case, slow
from emulator import Emulator
from process import Failure, WorkFolder

AUTHORITY = "client-ca.pem"
PASSWORD = "AZURE_CLIENT_CERTIFICATE_PASSWORD"
CERTIFICATE = "AZURE_CLIENT_CERTIFICATE_PATH"


class AzureIdentity(Case):
    """One emulator for all tests of a class; each test restores its settings."""

    @classmethod
    def setUpClass(cls):
        cls.folder = WorkFolder("azure-identity")
        cls.emulator = Emulator(cls.folder.path).start()
        cls.settings = cls.emulator.ask("/settings", method="GET").json()

    @classmethod
    def tearDownClass(cls):
        cls.emulator.stop()
        cls.folder.remove()

    def change(self, **settings):
        """Changes the emulator's settings for this test."""
        before = {name: self.settings[name] for name in settings}
        before = {name: "" if value is None else value for name, value in before.items()}
        self.addCleanup(self.emulator.ask, "/settings", before)
        self.emulator.ask("/settings", settings)

    def ask(self, kind, identity=None, **changes):
        """The SDK's output."""
        return azure_identity.ask(self.emulator, kind, identity, **changes)

    def assert_said(self, said, *texts):
        """The SDK's output contains the texts."""
        for text in texts:
            if text not in said:
                raise Failure(f"expected {text!r} from azure-identity; saw: {said}\n{self.emulator.process.tail()}")

    def assert_token_of(self, said, object_id):
        """The SDK got a token for this identity."""
        found = azure_identity.claims(said)
        if found["oid"] != object_id:
            raise Failure(f"expected a token of {object_id}; saw {found}")

    @property
    def client_object(self):
        """Object ID of the application, which is also the user-assigned identity."""
        return self.settings["object_id"]


@slow
class WorkloadIdentity(AzureIdentity):
    """WorkloadIdentityCredential reads the same variables as Remora."""

    def ask_with(self, **projected):
        """The SDK's output after the projected token was minted with these properties."""
        self.emulator.ask("/projected-token", {**projected, "write": True})
        return self.ask("workload")

    def test_a_token_for_workload_identity(self):
        self.assert_token_of(self.ask_with(), self.client_object)

    def test_a_wrong_subject(self):
        said = self.ask_with(subject="system:serviceaccount:default:default")
        self.assert_said(said, "refused", "AADSTS700213")

    def test_a_wrong_issuer(self):
        said = self.ask_with(issuer="https://example.test/another-cluster/")
        self.assert_said(said, "refused", "AADSTS700211")

    def test_a_wrong_audience(self):
        self.assert_said(self.ask_with(audience="api://AnotherExchange"), "refused", "AADSTS700212")

    def test_an_expired_token(self):
        self.assert_said(self.ask_with(life_s=-60), "refused", "AADSTS700024")


@slow
class IdentityBinding(AzureIdentity):
    """WorkloadIdentityCredential with `enable_azure_proxy`, available in the stable package since 1.27.0."""

    def ask_proxy(self, **changes):
        """The SDK's output with its proxy option on."""
        return self.ask("identity-binding", "identity-binding", **changes)

    def test_a_token_through_the_clusters_proxy(self):
        before = self.emulator.stats()["requests"].get("identity-binding", {}).get("200", 0)
        self.assert_token_of(self.ask_proxy(), self.client_object)
        self.assertEqual(self.emulator.stats()["requests"]["identity-binding"]["200"], before + 1)

    def test_the_authority_as_text(self):
        file = self.emulator.remora_environment("identity-binding")["AZURE_KUBERNETES_CA_FILE"]
        with open(file, encoding="ascii") as content:
            said = self.ask_proxy(AZURE_KUBERNETES_CA_FILE=None, AZURE_KUBERNETES_CA_DATA=content.read())
        self.assert_token_of(said, self.client_object)

    def test_a_changed_authority(self):
        self.emulator.ask("/identity-binding/rotate")
        self.assert_token_of(self.ask_proxy(), self.client_object)

    def test_another_server_name_or_authority_is_not_trusted(self):
        for change in (
            {"AZURE_KUBERNETES_SNI_NAME": "localhost"},
            {"AZURE_KUBERNETES_CA_FILE": str(self.emulator.folder / AUTHORITY)},
        ):
            with self.subTest(change=change):
                self.assert_said(self.ask_proxy(**change), "refused", "SSL")

    def test_the_clusters_token_does_not_pass_directly(self):
        said = self.ask("workload", "identity-binding")
        self.assert_said(said, "refused", "AADSTS700212", "api://AKSIdentityBinding")

    def test_a_service_account_without_permission(self):
        self.change(identity_bound=False)
        self.assert_said(self.ask_proxy(), "refused")


@slow
class ClientSecret(AzureIdentity):
    """ClientSecretCredential; the secret contains every character that a form changes."""

    def test_a_token_for_a_secret(self):
        self.assert_token_of(self.ask("secret", "secret"), self.client_object)

    def test_wrong_values_have_the_documented_numbers(self):
        nobody = "00000000-0000-0000-0000-000000000000"
        for number, change in (
            ("AADSTS7000215", {"AZURE_CLIENT_SECRET": "another"}),
            ("AADSTS700016", {"AZURE_CLIENT_ID": nobody}),
            ("AADSTS90002", {"AZURE_TENANT_ID": nobody}),
            ("AADSTS500011", {"scope": "https://monitor.azure.cn/.default"}),
        ):
            with self.subTest(number=number):
                self.assert_said(self.ask("secret", "secret", **change), "refused", number)

    def test_an_expired_secret(self):
        self.change(client_secret_expiry_s=int(time.time()) - 60)
        self.assert_said(self.ask("secret", "secret"), "refused", "AADSTS7000222")


@slow
class ClientCertificate(AzureIdentity):
    """CertificateCredential reads PEM and PFX with cryptography, which uses OpenSSL."""

    def ask_with(self, file, **changes):
        """The SDK's output with this certificate file of the emulator."""
        return self.ask("certificate", "certificate", **{CERTIFICATE: str(self.emulator.folder / file), **changes})

    def test_a_token_for_every_form_of_the_certificate(self):
        password = self.emulator.remora_environment("pfx")[PASSWORD]
        for file, secret in (
            ("client.pem", None),
            ("client-next.pem", None),
            ("client-chain.pem", None),
            ("client-encrypted.pem", password),
            ("client.pfx", password),
            ("client-no-password.pfx", None),
            ("client-legacy.pfx", password),
            ("client-legacy-no-password.pfx", None),
        ):
            with self.subTest(file=file):
                self.assert_token_of(self.ask_with(file, **{PASSWORD: secret}), self.client_object)

    def test_a_certificate_that_is_not_registered(self):
        said = self.ask_with("client-unregistered.pem")
        self.assert_said(said, "refused", "AADSTS700027", "not registered")

    def test_an_expired_certificate(self):
        said = self.ask_with("client-expired.pem")
        self.assert_said(said, "refused", "AADSTS700027", "The key used is expired")

    def test_a_clock_that_is_ten_minutes_off(self):
        for skew in (-660, 660):
            with self.subTest(skew=skew):
                self.change(clock_skew_s=skew)
                self.assert_said(self.ask_with("client.pem"), "refused", "AADSTS700024")

    def test_a_chain_is_trusted_by_its_subjects_name(self):
        self.change(trusted_subject="prometheus.emulated.example")
        chain = {"AZURE_CLIENT_SEND_CERTIFICATE_CHAIN": "true"}
        self.assert_token_of(self.ask_with("client-unregistered.pem", **chain), self.client_object)
        self.assert_said(self.ask_with("client-unregistered.pem"), "refused", "AADSTS700027")


@slow
class ManagedIdentity(AzureIdentity):
    """ManagedIdentityCredential against IMDS, App Service and Arc."""

    def setUp(self):
        self.system_object = "7e57c0de-0000-4000-8000-000000000009"

    def test_imds_gives_a_token_to_each_identity(self):
        path = (
            "/subscriptions/7e57c0de-0000-4000-8000-000000000007/resourcegroups/emulated/providers"
            "/Microsoft.ManagedIdentity/userAssignedIdentities/prometheus"
        )
        self.assert_token_of(self.ask("managed", "imds-system"), self.system_object)
        self.assert_token_of(self.ask("managed", "imds-user"), self.client_object)
        self.assert_token_of(self.ask("managed", "imds-system", object_id=self.client_object), self.client_object)
        self.assert_token_of(self.ask("managed", "imds-system", resource_id=path), self.client_object)

    def test_imds_does_not_know_another_identity(self):
        said = self.ask("managed", "imds-user", AZURE_CLIENT_ID="00000000-0000-0000-0000-000000000000")
        self.assert_said(said, "refused", "Identity not found")

    def test_imds_wants_to_know_which_of_several(self):
        self.change(system_assigned=False, user_assigned=[{}, {"client_id": "another"}])
        self.assert_said(self.ask("managed", "imds-system"), "refused", "Multiple user assigned identities exist")
        self.assert_token_of(self.ask("managed", "imds-user"), self.client_object)

    def test_app_service_gives_a_token_to_each_identity(self):
        self.assert_token_of(self.ask("managed", "app-service"), self.system_object)
        client = self.settings["client_id"]
        self.assert_token_of(self.ask("managed", "app-service", AZURE_CLIENT_ID=client), self.client_object)

    def test_app_service_refuses_another_header(self):
        self.assert_said(self.ask("managed", "app-service", IDENTITY_HEADER="another"), "refused")

    def test_arc_gives_a_token_to_who_may_read_its_challenge(self):
        wrapper = self.emulator.arc_wrapper()
        self.assert_token_of(self.ask("managed", "arc", wrapper=wrapper), self.system_object)
        client = self.settings["client_id"]
        said = self.ask("managed", "arc", wrapper=wrapper, AZURE_CLIENT_ID=client)
        self.assert_token_of(said, self.client_object)

    def test_arc_refuses_who_cannot_read_its_challenge(self):
        challenged = lambda: self.emulator.stats()["requests"].get("arc", {}).get("401", 0)  # noqa: E731
        before = challenged()
        said = self.ask("managed", "arc")
        if "token eyJ" in said:
            raise Failure(f"expected no token without the challenge file; saw: {said}")
        self.assertEqual(challenged(), before + 1, f"challenges; the SDK said: {said}")

    def test_an_oversized_challenge_is_not_read_by_the_sdk(self):
        self.change(arc_challenge="too-large")
        said = self.ask("managed", "arc", wrapper=self.emulator.arc_wrapper())
        self.assert_said(said, "larger than 4KB")


if __name__ == "__main__":
    unittest.main()
