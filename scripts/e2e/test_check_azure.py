"""`remora check` names the single cause of each real failure on the way to Azure: network, token exchange, role."""

import json
import os
import socket
import sys
import unittest
from pathlib import Path

from answering import Answering
from case import beside, slow
from checked import HOST, PATH, Checked
from interceptor import Interceptor
from namespaces import unshare
from process import free_port


def without_network():
    """Command prefix for a program that can reach only loopback."""
    return [*unshare("--net"), "sh", "-c", 'ip link set lo up && exec "$0" "$@"']


def behind_slow_names(folder):
    """Command prefix for a program whose name server needs 1.2 s for each answer."""
    (folder / "hosts").write_text("")
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    (folder / "names.py").write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from faults.names import NameServer\n"
        "server = NameServer(['192.0.2.1'])\n"
        "server.break_with(delay=1.2)\n"
        "print('ready', flush=True)\n"
        "server.run()\n"
    )
    prepared = (
        f'ip link set lo up; mount --bind {folder}/hosts /etc/hosts; mount --bind {folder}/resolv.conf /etc/resolv.conf; '
        f'{sys.executable} -B {folder}/names.py >{folder}/ready & server=$!; '
        f'while ! grep -qs ready {folder}/ready; do sleep 0.05; done; '
        '"$0" "$@" || status=$?; kill $server; exit ${status:-0}'
    )
    return [*unshare("--net", "--mount"), "sh", "-ec", prepared]


def stopped_and_continued():
    """Command prefix for a program that is stopped and continued for as long as it runs."""
    again = "while kill -STOP $!; do sleep 0.05; kill -CONT $!; sleep 0.05; done 2>/dev/null"
    return ["sh", "-c", f'"$0" "$@" & {again}; wait $!']


class Network(Checked):
    """The network on the way to Azure."""

    def test_stopped_and_continued_while_it_waits(self):
        for endpoint in ("token", "ingest"):
            self.with_fault(endpoint, delay_ms=500)
        status, text = self.check("--pre", wrapper=stopped_and_continued())
        self.assertEqual(status, 0, text)
        status, text = self.check("--write", wrapper=stopped_and_continued())
        self.assertEqual(status, 0, text)

    @beside
    @slow
    def test_dns_dead(self):
        how = {"INGESTION_URL": f"{HOST}.com{PATH}", "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/"}
        self.assert_cause("NET-01", "--skip", "running-process", wrapper=without_network(), **how)

    def test_dns_slow(self):
        how = {"INGESTION_URL": f"{HOST}.com{PATH}", "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/"}
        how["PATH"] = os.environ["PATH"]
        status, text = self.check("-o", "short", "--only", "NET-01", wrapper=behind_slow_names(self.folder.path), **how)
        self.assertEqual(status, 0, text)
        # The name server's 1.2 s and what a slow machine adds, but not the 5 s after which a query is repeated.
        self.assertRegex(text, r"seen: \S+ resolved only after (1\.[2-9]|[2-4]\.\d) s")
        self.assertRegex(text, r"nslookup (login|x-1)\.")

    @beside
    @slow
    def test_proxy_without_an_address(self):
        how = {**self.behind("http://squid.corp.example:3128"), "wrapper": without_network()}
        self.assert_cause("NET-01", "--skip", "running-process", words=["nslookup squid.corp.example"], **how)

    def test_nobody_at_the_token_endpoint(self):
        self.emulator.ask("/endpoints/token/stop")
        self.addCleanup(self.emulator.ask, "/endpoints/token/start")
        self.assert_cause("NET-02", words=["Connection refused"])

    def test_nobody_at_the_ingestion_endpoint(self):
        self.emulator.ask("/endpoints/ingest/stop")
        self.addCleanup(self.emulator.ask, "/endpoints/ingest/start")
        self.assert_cause("NET-02", "--write")

    @beside
    @slow
    def test_silence_at_the_ingestion_endpoint(self):
        port = self.closing(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
        how = {"INGESTION_URL": f"https://localhost:{port}{PATH}"}
        self.assert_cause("NET-02", words=["timed out"], **how)

    def test_proxy_refuses(self):
        proxy = self.closing(Answering(403))
        self.assert_cause("NET-02", words=["refuses to connect"], **self.behind(proxy.url))

    def test_proxy_wants_a_login(self):
        proxy = self.closing(Answering(407))
        self.assert_cause("NET-02", words=["407"], **self.behind(proxy.url))

    def test_proxy_is_away(self):
        self.assert_cause("NET-02", **self.behind(f"http://127.0.0.1:{free_port()}"))

    def test_tls_interception(self):
        proxy = self.closing(Interceptor(self.folder.path))
        self.assert_cause("NET-03", words=["CN=Contoso TLS Inspection", "SSL_CERT_FILE"], **self.behind(proxy.url))

    def test_certificate_of_another_host(self):
        proxy = self.closing(Interceptor(self.folder.path, "other.example"))
        how = {**self.behind(proxy.url), "SSL_CERT_FILE": str(self.both_authorities(proxy))}
        self.assert_cause("NET-03", words=["another host"], **how)

    def test_clock_off(self):
        self.emulator.ask("/settings", {"clock_skew_s": 3630})
        self.assert_cause("NET-04", words=["behind"])

    def test_clock_a_little_off(self):
        self.emulator.ask("/settings", {"clock_skew_s": -130})
        self.with_token(life_s=7200)
        self.assert_found("NET-04", "warning", "--skip", "token-exchange", status=0, words=["ahead of"])

    def behind(self, proxy):
        """Changes that put this proxy between the pod and Azure."""
        return {"HTTPS_PROXY": proxy, **self.emulator.elsewhere()}

    def closing(self, server):
        """The server, closed after the test."""
        self.addCleanup(server.close)
        return server

    def both_authorities(self, proxy):
        """A file with both the emulator's authority and the proxy's."""
        path = self.folder.path / "both.pem"
        path.write_text(proxy.authority.read_text() + (self.folder.path / "azure/ca.pem").read_text())
        return path


class Issuer(Checked):
    """The cluster's issuer."""

    def test_issuer_without_its_document(self):
        self.with_fault("issuer", status=404)
        self.assert_published_wrongly("openid-configuration answers 404")

    def test_issuer_whose_keys_are_gone(self):
        self.emulator.ask("/faults", {"endpoint": "issuer", "after": 1, "action": {"status": 503}})
        status, text = self.check("-o", "short", "--only", "TOK-07")
        self.assertEqual(status, 0, text)
        self.assertIn("/openid/v1/jwks answers 503", text)

    def test_key_that_the_issuer_does_not_publish(self):
        self.with_token(kid="7e57-of-another-cluster")
        self.assert_published_wrongly('the key "7e57-of-another-cluster"')

    def test_issuer_that_only_entra_can_reach(self):
        self.emulator.ask("/endpoints/issuer/stop")
        self.addCleanup(self.emulator.ask, "/endpoints/issuer/start")
        status, text = self.check("--only", "TOK-07", "--strict")
        self.assertEqual(status, 0, text)
        self.assertIn("not reachable from here (", text)

    def assert_published_wrongly(self, words):
        """One warning, whatever the token exchange makes of it."""
        self.assert_found("TOK-07", "warning", "--skip", "token-exchange", status=0, words=[words])


class TokenExchange(Checked):
    """Entra's responses."""

    def test_wrong_subject(self):
        self.with_credential(subject="system:serviceaccount:default:prometheus")
        self.assert_cause("TOK-10", words=["AADSTS700213", "--subject system:serviceaccount:monitoring:prometheus "])

    def test_subject_in_another_case(self):
        self.with_credential(subject="system:serviceaccount:monitoring:Prometheus")
        self.assert_cause("TOK-10", words=["AADSTS7002138", "letter case"])

    def test_wrong_issuer(self):
        self.with_credential(issuer="https://eastus.oic.prod-aks.azure.com/7e57/another-cluster/")
        self.assert_cause("TOK-10", words=["AADSTS700211", f"--issuer {self.issuer()} "])

    def test_issuer_of_the_credential_without_its_slash(self):
        self.with_credential(issuer=self.issuer().rstrip("/"))
        self.assert_cause("TOK-10", words=["AADSTS700211", f"--issuer {self.issuer()} ", "trailing slash"])

    def test_issuer_of_the_token_without_its_slash(self):
        self.with_token(issuer=self.issuer().rstrip("/"))
        self.assert_cause("TOK-10", words=["AADSTS700211", f"--issuer {self.issuer().rstrip('/')} ", "TOK-07"])

    def test_wrong_audience(self):
        self.with_token(audience="api://AnotherExchange")
        self.assert_cause("TOK-10", words=["AADSTS700212", "TOK-04", "label the pod", "serviceAccountToken"])
        self.assertNotIn("federated-credential", self.check("-o", "short")[1])

    def test_default_service_account_without_a_credential(self):
        self.with_token(subject="system:serviceaccount:monitoring:default")
        self.assert_cause("TOK-10", words=["AADSTS700213", "TOK-03", "set the pod's serviceAccountName"])
        self.assertNotIn("federated-credential create", self.check("-o", "short")[1])

    def test_wrong_client_id(self):
        unknown = "7e57c0de-0000-4000-8000-00000000dead"
        self.assert_cause("TOK-10", AZURE_CLIENT_ID=unknown, words=["AADSTS700016"])

    def test_wrong_tenant(self):
        unknown = "7e57c0de-0000-4000-8000-00000000dead"
        self.assert_cause("TOK-10", AZURE_TENANT_ID=unknown, words=["AADSTS90002"])

    def test_wrong_cloud(self):
        how = {"CLOUD": "AZUREGOVERNMENT", "INGESTION_AAD_AUDIENCE": None}
        self.assert_cause("TOK-10", words=["AADSTS500011", "set CLOUD"], **how)

    def test_issuer_out_of_entras_reach(self):
        self.emulator.ask("/endpoints/issuer/stop")
        self.addCleanup(self.emulator.ask, "/endpoints/issuer/start")
        self.assert_cause("TOK-10", words=["AADSTS501661"])

    def test_entra_throttles(self):
        self.with_fault("token", status=429, headers={"Retry-After": "60"})
        self.assert_cause("TOK-10", words=["429"])

    def test_something_else_than_entra_answers(self):
        self.with_fault("token", status=503, body="<html>Service Unavailable</html>")
        self.assert_cause("TOK-10", words=["503"])

    def test_refusal_that_is_not_known(self):
        self.with_fault("token", status=400, body=self.refusal(900144))
        page = "see what Entra says about this at https://localhost:"
        self.assert_cause("TOK-10", words=["AADSTS900144", "time 2026-01-18 00:16:59Z", page, "gave no token"])
        self.assertNotIn("federated-credential", self.check("-o", "short")[1])

    def test_refusal_of_an_application_that_is_not_known(self):
        self.with_fault("token", status=400, body=self.refusal(900144))
        how = self.of_identity("secret")
        self.assert_cause("TOK-10", words=["AADSTS900144", "compare its message", "the secret or certificate"], **how)

    def test_identity_binding_without_its_credential(self):
        self.with_fault("identity-binding", status=401, body=self.refusal(700213))
        self.assert_cause("TOK-10", words=["az aks identity-binding create"], **self.of_identity("identity-binding"))
        text = self.check("-o", "short", **self.of_identity("identity-binding"))[1]
        self.assertNotIn("az identity federated-credential", text)

    def refusal(self, number):
        """A body of Entra's form with a number that no hint knows."""
        return json.dumps(
            {
                "error": "invalid_request",
                "error_description": f"AADSTS{number}: The request body must contain the following parameter.",
                "error_codes": [number],
                "timestamp": "2026-01-18 00:16:59Z",
                "error_uri": f"{self.complete['AZURE_AUTHORITY_HOST'].rstrip('/')}/error?code={number}",
            }
        )

    def issuer(self):
        """The emulated cluster's issuer."""
        ports = json.loads((self.folder.path / "azure/settings.json").read_text())["ports"]
        return f"https://localhost:{ports['issuer']}/"


class ManagedIdentity(Checked):
    """The responses of machines' and platforms' endpoints."""

    def test_app_service_with_another_header(self):
        how = self.of_identity("app-service", IDENTITY_HEADER="7e57")
        self.assert_cause("TOK-10", words=["set IDENTITY_ENDPOINT and IDENTITY_HEADER"], **how)

    def test_nobody_in_the_place_of_the_metadata_service(self):
        how = self.of_identity("imds-system", AZURE_POD_IDENTITY_AUTHORITY_HOST=f"http://127.0.0.1:{free_port()}")
        self.assert_cause("TOK-10", words=["let this pod reach 127.0.0.1:"], **how)

    def test_metadata_service_that_does_not_say_what_it_knows(self):
        body = {"error": "invalid_request", "error_description": "Required audience parameter not specified"}
        self.with_fault("imds", status=400, body=json.dumps(body))
        words = ["the instance metadata service", "Required audience parameter", "az vmss identity show"]
        self.assert_cause("TOK-10", words=words, **self.of_identity("imds-user"))
        self.assertNotIn("federated-credential", self.check("-o", "short", **self.of_identity("imds-user"))[1])

    def test_arc_without_the_machines_keys(self):
        self.assert_cause("TOK-10", words=["mount the machine's /var/opt/azcmagent/tokens"], **self.of_identity("arc"))


class Role(Checked):
    """Azure's responses to a write without samples."""

    def test_no_role(self):
        self.emulator.ask("/roles/revoke")
        self.assert_cause("RBAC-01", "--write", words=["--assignee-object-id 7e57c0de-0000-4000-8000-000000000003"])

    def test_403_that_does_not_name_the_role(self):
        body = json.dumps({"error": {"code": "Forbidden", "message": "Access from public networks is disabled."}})
        self.with_fault("ingest", status=403, body=body)
        self.assert_cause("RBAC-01", "--write", words=["public networks is disabled", "publicNetworkAccess"])

    def test_403_of_a_firewall(self):
        self.with_fault("ingest", status=403, body="<html>Access denied by corporate firewall</html>")
        self.assert_cause("NET-02", "--write", words=["something other than Azure", "corporate firewall", "NET-03"])

    def test_captive_portal(self):
        self.with_fault("ingest", status=302, headers={"Location": "https://portal.corp.example/login"})
        self.assert_cause("NET-02", "--write", words=["a redirect to portal.corp.example"])

    def test_wrong_dcr(self):
        url = self.complete["INGESTION_URL"].replace("dcr-7e57c0de", "dcr-0000c0de")
        self.assert_cause("RBAC-02", "--write", INGESTION_URL=url)

    def test_url_without_a_version_that_azure_misses(self):
        body = {"error": {"code": "MissingApiVersionParameter", "message": "The api-version query parameter is required."}}
        self.with_fault("ingest", status=400, body=json.dumps(body))
        url = self.complete["INGESTION_URL"].split("?")[0]
        self.assert_cause("CFG-03", "--write", INGESTION_URL=url, words=["MissingApiVersionParameter"])

    def test_quota(self):
        self.with_fault("ingest", status=429, headers={"Retry-After": "5"}, body="throttled")
        self.assert_warned("RBAC-03", "--write")

    def test_token_for_something_else(self):
        how = {"INGESTION_AAD_AUDIENCE": "https://management.azure.com"}
        self.assert_cause("RBAC-04", "--write", "--skip", "TOK-11", **how)

    def test_token_that_is_not_for_azure_monitor(self):
        self.assert_cause("TOK-11", "--write", INGESTION_AAD_AUDIENCE="https://management.azure.com")

    def test_azure_out_of_order(self):
        self.with_fault("ingest", status=500, body="out of order")
        self.assert_cause("RBAC-05", "--write")

    def test_azure_that_hangs_up(self):
        self.with_fault("ingest", reset="before_head")
        self.assert_cause("RBAC-05", "--write")


if __name__ == "__main__":
    unittest.main()
