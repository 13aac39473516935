"""`remora check` names the single cause of each really broken pod: configuration, environment, projected token."""

import base64
import json
import os
import time
import unittest

from checked import HOST, PATH, Checked
from namespaces import unshare


class Configuration(Checked):
    """The container's settings."""

    def test_no_url(self):
        self.assert_cause("CFG-01", INGESTION_URL=None, words=["pass the same flags"])

    def test_url_without_tls(self):
        self.assert_cause("CFG-01", INGESTION_URL="http://x.metrics.ingest.monitor.azure.com/x")

    def test_query_endpoint(self):
        url = "https://amw-7e57.eastus.prometheus.monitor.azure.com/api/v1/write"
        self.assert_cause("CFG-02", INGESTION_URL=url, words=["query endpoint"])

    def test_logs_endpoint_instead_of_metrics_endpoint(self):
        url = f"https://x-1.eastus-1.ingest.monitor.azure.com{PATH}"
        self.assert_cause("CFG-02", INGESTION_URL=url, words=["x-1.eastus-1.metrics.ingest.monitor.azure.com"])

    def test_another_stream(self):
        url = self.complete["INGESTION_URL"].replace("Microsoft-PrometheusMetrics", "Custom-Table")
        self.assert_cause("CFG-02", "--pre", INGESTION_URL=url)

    def test_unknown_api_version(self):
        url = self.complete["INGESTION_URL"].replace("2023-04-24", "2024-01-01")
        self.assert_warned("CFG-03", "--pre", INGESTION_URL=url)

    def test_port_that_is_none(self):
        self.assert_cause("CFG-04", LISTENING_PORT="0")

    def test_unknown_identity_type(self):
        self.assert_cause("CFG-05", IDENTITY_TYPE="podIdentity")

    def test_audience_of_another_cloud(self):
        how = {"CLOUD": "AZUREGOVERNMENT", "INGESTION_AAD_AUDIENCE": "https://monitor.azure.com/.default"}
        self.assert_warned("CFG-05", "--pre", **how)

    def test_memory_that_is_none(self):
        self.assert_cause("CFG-06", BODY_MEMORY="lots")

    def test_misspelled_name(self):
        self.assert_warned("CFG-06", "--pre", BODY_MEMROY="hush", words=["did you mean BODY_MEMORY?"])
        self.assertNotIn("hush", self.check("--pre", BODY_MEMROY="hush")[1])

    def test_url_of_the_example_files(self):
        url = f"{HOST}.com{PATH}".replace("x-1", "w-abcd").replace("dcr-7e57", f"dcr-{0:032}")
        self.assert_cause("CFG-01", "--pre", INGESTION_URL=url, words=["host of the example files", "defaultIngestionSettings"])

    def test_client_id_of_the_tenant(self):
        tenant = self.complete["AZURE_TENANT_ID"]
        self.assert_warned("ENV-02", "--pre", AZURE_CLIENT_ID=tenant, words=["the same as AZURE_TENANT_ID"])

    def test_client_secret_in_place_of_the_client_id(self):
        secret = "hUs8Q~hush.hush-hush_hush~hush0hush1hush"
        self.assert_cause("ENV-02", "--pre", AZURE_CLIENT_ID=secret, words=["a client secret"])
        self.assertNotIn("hush", self.check("--pre", "-o", "json", AZURE_CLIENT_ID=secret)[1])

    def test_certificates_that_are_none(self):
        path = self.folder.path / "no-certificates.pem"
        path.write_text("# nothing\n")
        self.assert_cause("CFG-07", SSL_CERT_FILE=str(path))

    def test_socks_proxy(self):
        self.assert_cause("CFG-08", HTTPS_PROXY="socks5://user:hush@127.0.0.1:1080")
        self.assertNotIn("hush", self.check(HTTPS_PROXY="socks5://user:hush@127.0.0.1:1080")[1])

    def test_cloud_of_another_workspace(self):
        self.assert_cause("ENV-04", "--pre", INGESTION_URL=f"{HOST}.us{PATH}", words=["CLOUD=AZUREGOVERNMENT"])

    def test_authority_of_another_cloud(self):
        authority = "https://login.microsoftonline.us/"
        self.assert_warned("ENV-04", "--pre", AZURE_AUTHORITY_HOST=authority, INGESTION_AAD_AUDIENCE=None)


    def test_government_by_its_audience(self):
        audience = "https://monitor.azure.us/.default"
        how = self.of_identity("imds-user", INGESTION_URL=f"{HOST}.us{PATH}", INGESTION_AAD_AUDIENCE=audience)
        status, text = self.check("--pre", "--strict", **how)
        self.assertEqual(status, 0, text)
        self.assertRegex(text, r"CFG-05 .*: https://monitor\.azure\.us\n")
        self.assertRegex(text, r"ENV-04 .*: AZUREGOVERNMENT\n")

    def test_cloud_without_a_name(self):
        how = {
            "AZURE_AUTHORITY_HOST": "https://login.sovcloud-identity.fr/",
            "INGESTION_URL": f"https://x-1.metrics.ingest.monitor.sovcloud-api.fr{PATH}",
            "INGESTION_AAD_AUDIENCE": None,
        }
        self.assert_warned("ENV-04", "--pre", words=["CLOUD=AZURECUSTOM"], **how)
        how["INGESTION_AAD_AUDIENCE"] = "https://monitor.sovcloud-api.fr"
        self.assertEqual(self.check("--pre", "--strict", CLOUD="AZURECUSTOM", **how)[0], 0)


class Environment(Checked):
    """The webhook's changes."""

    def test_no_label(self):
        self.assert_cause("ENV-01", **dict.fromkeys(name for name in self.complete if name.startswith("AZURE_")))

    def test_no_annotation(self):
        self.assert_cause("ENV-02", AZURE_CLIENT_ID=None)

    def test_name_in_place_of_the_client_id(self):
        self.assert_cause("ENV-02", AZURE_CLIENT_ID="my-identity")

    def test_no_tenant(self):
        self.assert_cause("ENV-03", AZURE_TENANT_ID=None)

    def test_tenant_that_is_none(self):
        self.assert_cause("ENV-03", AZURE_TENANT_ID="common")

    def test_machine_whose_identity_is_not_named(self):
        self.assert_cause("ENV-02", **self.of_identity("imds-user", AZURE_CLIENT_ID=None))

    def test_application_without_a_tenant(self):
        self.assert_cause("ENV-03", **self.of_identity("secret", AZURE_TENANT_ID=None))

    def test_id_that_the_identity_does_not_use(self):
        how = self.of_identity("imds-system", AZURE_CLIENT_ID=self.complete["AZURE_CLIENT_ID"])
        self.assert_warned("ENV-02", "--pre", **how)


class ProjectedToken(Checked):
    """The token in the pod."""

    def test_token_file_missing(self):
        missing = str(self.folder.path / "nowhere")
        self.assert_cause("TOK-01", AZURE_FEDERATED_TOKEN_FILE=missing, words=["No such file"])

    def test_token_file_empty(self):
        path = self.folder.path / "empty"
        path.touch()
        self.assert_cause("TOK-01", AZURE_FEDERATED_TOKEN_FILE=str(path))

    def test_token_file_unreadable(self):
        path = self.folder.path / "unreadable"
        path.write_text("x")
        path.chmod(0)
        # In a user namespace without a mapping nobody can override file permissions.
        wrapper = unshare("--user") if os.geteuid() == 0 else []
        how = {"AZURE_FEDERATED_TOKEN_FILE": str(path), "SSL_CERT_FILE": None, "wrapper": wrapper}
        self.assert_cause("TOK-01", words=["Permission denied", "fsGroup"], **how)

    def test_token_file_with_something_else(self):
        path = self.folder.path / "garbage"
        path.write_text("a secret that is no token\n")
        self.assert_cause("TOK-02", AZURE_FEDERATED_TOKEN_FILE=str(path))

    def test_token_expired(self):
        self.with_token(life_s=-605)
        self.assert_cause("TOK-05")

    def test_token_that_the_kubelet_did_not_replace(self):
        now = int(time.time())
        self.with_claims(iat=now - 3500, exp=now + 100)
        self.assert_warned("TOK-05", "--pre", AZURE_FEDERATED_TOKEN_FILE=str(self.folder.path / "made"))

    def test_issuer_that_only_the_cluster_knows(self):
        self.with_token(issuer="https://kubernetes.default.svc.cluster.local")
        self.assert_cause("TOK-06")

    def test_default_service_account(self):
        subject = "system:serviceaccount:monitoring:default"
        self.with_token(subject=subject)
        self.with_credential(subject=subject)
        self.assert_warned("TOK-03")

    def test_token_signed_with_an_elliptic_curve(self):
        self.with_claims(header={"alg": "ES256", "kid": "a"})
        made = str(self.folder.path / "made")
        self.assert_cause("TOK-02", "--pre", AZURE_FEDERATED_TOKEN_FILE=made, words=["ES256", "RSA key"])
        self.assertIn("needs REMORA-TOK-02", self.check("--only", "TOK-10", AZURE_FEDERATED_TOKEN_FILE=made)[1])

    def test_token_that_names_no_key(self):
        self.with_claims(header={"alg": "RS256"})
        self.assert_warned("TOK-02", "--pre", AZURE_FEDERATED_TOKEN_FILE=str(self.folder.path / "made"))

    def with_claims(self, header=None, **changed):
        """A token with this header, these claims and a fake signature, in its own file."""
        now = int(time.time())
        claims = {
            "iss": "https://eastus.oic.prod-aks.azure.com/7e57/",
            "sub": "system:serviceaccount:monitoring:prometheus",
            "aud": ["api://AzureADTokenExchange"],
            "iat": now,
            "exp": now + 3600,
            **changed,
        }
        parts = [json.dumps(header or {"alg": "RS256", "kid": "a"}), json.dumps(claims), "signature"]
        encoded = [base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts]
        (self.folder.path / "made").write_text(".".join(encoded))


if __name__ == "__main__":
    unittest.main()
