"""`remora check` names the one cause of each broken set-up, made for real, and prints what repairs it."""

import base64
import json
import os
import subprocess
import time
import unittest

import pinned
import snapshots
from answering import Answering
from case import slow
from checked import Checked
from empty_root import furnish
from interceptor import Interceptor
from namespaces import unshare
from pinned import ROOT
from process import Failure, free_port, wait_for
from prometheus import Prometheus
from remora import Remora
from stack import Stack

HOST = "https://x-1.eastus-1.metrics.ingest.monitor.azure"
PATH = "/dataCollectionRules/dcr-7e57/streams/Microsoft-PrometheusMetrics/api/v1/write?api-version=2023-04-24"
VALIDATE = """
import json, sys
from jsonschema import Draft202012Validator
schema = json.load(open(sys.argv[1]))
Draft202012Validator.check_schema(schema)
for path in sys.argv[2:]:
    Draft202012Validator(schema).validate(json.load(open(path)))
"""


class Healthy(Checked):
    """Where nothing is wrong."""

    def test_all_good(self):
        status, text = self.check("--write")
        self.assertEqual(status, 0, text)
        self.assertTrue(text.endswith("This pod can write to dcr-7e57c0de000040008000000000000004 in Azure Monitor.\n"), text)
        snapshots.compare("check/all_good", snapshots.normalised(text, self.folder.path))
        self.assertEqual(self.emulator.stats()["samples"], 0, "samples stored by an empty write")

    def test_all_good_in_one_line_each(self):
        status, text = self.check("--pre", "-o", "short")
        self.assertEqual((status, text.count("\n")), (0, 2), text)

    def test_all_good_with_every_identity(self):
        for identity in ("identity-binding", "secret", "certificate", "pfx", "imds-system", "imds-user", "app-service"):
            with self.subTest(identity=identity):
                environment = self.emulator.remora_environment(identity)
                absent = dict.fromkeys(name for name in self.complete if name not in environment)
                status, text = self.check("--write", "-o", "short", **{**absent, **environment})
                self.assertEqual((status, text.count("\n")), (0, 2), text)
                self.assertIn("This pod can write to dcr-", text)

    def test_all_good_in_an_empty_root(self):
        root = self.folder.path / "root"
        inside = {**furnish(root, self.complete), "PATH": os.environ["PATH"]}
        port = ("--listening-port", str(self.sidecar.port), "--prometheus", f"http://127.0.0.1:{free_port()}")
        command = [*unshare("--fork"), f"--root={root}", "/remora", "check", "--write", *port]
        done = subprocess.run(command, env=inside, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("This pod can write to dcr-", done.stdout)

    def test_flags_win_over_the_environment(self):
        wrong = ("--azure-client-id", "7e57c0de-0000-4000-8000-00000000dead")
        self.assertIn("AADSTS700016", self.check(*wrong)[1])

    def test_prometheus_and_its_queue(self):
        prometheus = Prometheus(self.folder.path, self.sidecar.write_url).start()
        self.addCleanup(prometheus.process.kill)
        status, text = self.check("--prometheus", prometheus.url, "--only", "prometheus")
        self.assertEqual(status, 0, text)
        self.assertIn("2 ok, 0 warned", text)

    def test_only_and_skip_choose(self):
        status, text = self.check("--only", "configuration,TOK-05", "--skip", "CFG-08")
        self.assertEqual((status, text.count("[ok]   REMORA-")), (0, 9), text)
        self.assertNotIn("CFG-08", text)

    def test_a_skipped_check_does_not_hold_up_the_rest(self):
        self.emulator.ask("/settings", {"clock_skew_s": 7200})
        self.assertNotIn("[fail] REMORA-TOK-10", self.check("-o", "short")[1])
        self.assertIn("[fail] REMORA-TOK-10", self.check("-o", "short", "--skip", "NET-04")[1])

    def test_wait_ends_when_nothing_fails_any_more(self):
        self.emulator.ask("/endpoints/token/stop?seconds=3")
        self.addCleanup(self.emulator.ask, "/endpoints/token/start")
        command = [os.environ["REMORA_BIN"], "check", "--wait", "1m", "-o", "short"]
        done = subprocess.run(command, env=self.environment({}), capture_output=True, text=True, timeout=90, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("waiting, since REMORA-NET-02 fails", done.stderr)

    def test_a_terminal_gets_colour_and_signs_unless_it_does_not_want_them(self):
        def shown(**changes):
            environment = self.environment({"TERM": "xterm", "LANG": "C.UTF-8", **changes})
            words = ["script", "-qec", f"{os.environ['REMORA_BIN']} check --pre", "/dev/null"]
            done = subprocess.run(
                words, env={**os.environ, **environment}, capture_output=True, timeout=30, check=False
            )
            return done.stdout.decode()

        self.assertIn("\x1b[32m√\x1b[0m REMORA-CFG-01", shown())
        self.assertIn("\n√ REMORA-CFG-01", shown(NO_COLOR="1").replace("\r", ""))
        self.assertIn("\x1b[32m[ok]  \x1b[0m REMORA-CFG-01", shown(LANG="C"))

    def test_every_report_keeps_to_the_schema(self):
        reports = {
            "good": self.check("-o", "json", "--write")[1],
            "offline": self.check("-o", "json", "--pre")[1],
            "empty": self.check("-o", "json", **dict.fromkeys(self.complete))[1],
            "refused": self.check("-o", "json", CLOUD="AZUREGOVERNMENT", INGESTION_AAD_AUDIENCE=None)[1],
        }
        paths = []
        for name, report in reports.items():
            path = self.folder.path / f"{name}.json"
            path.write_text(report)
            paths.append(path)
        python = pinned.python("jsonschema", "jsonschema==4.25.1") / "python"
        command = [python, "-c", VALIDATE, ROOT / "bin/remora/schema/check.json", *paths]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_no_report_holds_a_token(self):
        projected = (self.folder.path / "azure/azure-identity-token").read_text()
        for form in ("table", "json"):
            text = self.check("-o", form, "--write")[1]
            self.assertNotIn(projected.split(".")[1], text)
            self.assertNotIn("eyJ", text)


class Configuration(Checked):
    """What the container was told."""

    def test_no_url(self):
        self.assert_cause("CFG-01", INGESTION_URL=None)

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

    def test_memory_that_is_none(self):
        self.assert_cause("CFG-06", BODY_MEMORY="lots")

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


class Environment(Checked):
    """What the webhook did."""

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
        # In a user namespace without a mapping nobody may read past permissions.
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

    def with_claims(self, **changed):
        """A token with these claims and a signature that nobody made, in a file of its own."""
        now = int(time.time())
        claims = {
            "iss": "https://eastus.oic.prod-aks.azure.com/7e57/",
            "sub": "system:serviceaccount:monitoring:prometheus",
            "aud": ["api://AzureADTokenExchange"],
            "iat": now,
            "exp": now + 3600,
            **changed,
        }
        parts = [json.dumps({"alg": "RS256"}), json.dumps(claims), "signature"]
        encoded = [base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts]
        (self.folder.path / "made").write_text(".".join(encoded))


class Network(Checked):
    """The way there."""

    @slow
    def test_dns_dead(self):
        inside = ["sh", "-c", 'ip link set lo up && exec "$0" "$@"']
        how = {"INGESTION_URL": f"{HOST}.com{PATH}", "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/"}
        self.assert_cause("NET-01", "--skip", "running-process", wrapper=[*unshare("--net"), *inside], **how)

    def test_nobody_at_the_token_endpoint(self):
        self.emulator.ask("/endpoints/token/stop")
        self.addCleanup(self.emulator.ask, "/endpoints/token/start")
        self.assert_cause("NET-02", words=["Connection refused"])

    def test_nobody_at_the_ingestion_endpoint(self):
        self.emulator.ask("/endpoints/ingest/stop")
        self.addCleanup(self.emulator.ask, "/endpoints/ingest/start")
        self.assert_cause("NET-02", "--write")

    def test_proxy_refuses(self):
        proxy = self.closing(Answering(403))
        self.assert_cause("NET-02", HTTPS_PROXY=proxy.url, words=["refuses to connect"])

    def test_proxy_wants_a_login(self):
        proxy = self.closing(Answering(407))
        self.assert_cause("NET-02", HTTPS_PROXY=proxy.url, words=["407"])

    def test_proxy_is_away(self):
        self.assert_cause("NET-02", HTTPS_PROXY=f"http://127.0.0.1:{free_port()}")

    def test_tls_interception(self):
        proxy = self.closing(Interceptor(self.folder.path))
        self.assert_cause("NET-03", HTTPS_PROXY=proxy.url, words=["CN=Contoso TLS Inspection", "SSL_CERT_FILE"])

    def test_certificate_of_another_host(self):
        proxy = self.closing(Interceptor(self.folder.path, "other.example"))
        how = {"HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": str(self.both_authorities(proxy))}
        self.assert_cause("NET-03", words=["another host"], **how)

    def test_clock_off(self):
        self.emulator.ask("/settings", {"clock_skew_s": 3630})
        self.assert_cause("NET-04", words=["behind"])

    def test_clock_a_little_off(self):
        self.emulator.ask("/settings", {"clock_skew_s": -130})
        self.with_token(life_s=7200)
        self.assert_found("NET-04", "warning", "--skip", "token-exchange", status=0, words=["ahead of"])

    def closing(self, server):
        """The server, which ends with the test."""
        self.addCleanup(server.close)
        return server

    def both_authorities(self, proxy):
        """A file with the emulator's authority and the proxy's."""
        path = self.folder.path / "both.pem"
        path.write_text(proxy.authority.read_text() + (self.folder.path / "azure/ca.pem").read_text())
        return path


class TokenExchange(Checked):
    """What Entra says."""

    def test_wrong_subject(self):
        self.with_credential(subject="system:serviceaccount:default:prometheus")
        self.assert_cause("TOK-10", words=["AADSTS700213", "--subject system:serviceaccount:monitoring:prometheus "])

    def test_subject_in_another_case(self):
        self.with_credential(subject="system:serviceaccount:monitoring:Prometheus")
        self.assert_cause("TOK-10", words=["AADSTS7002138", "upper and lower case"])

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
        self.assert_cause("TOK-10", words=["AADSTS700212", "TOK-04"])

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

    def issuer(self):
        """The emulated cluster's."""
        ports = json.loads((self.folder.path / "azure/settings.json").read_text())["ports"]
        return f"https://localhost:{ports['issuer']}/"


class Role(Checked):
    """What Azure says to a write without samples."""

    def test_no_role(self):
        self.emulator.ask("/roles/revoke")
        self.assert_cause("RBAC-01", "--write", words=["--assignee-object-id 7e57c0de-0000-4000-8000-000000000003"])

    def test_wrong_dcr(self):
        url = self.complete["INGESTION_URL"].replace("dcr-7e57c0de", "dcr-0000c0de")
        self.assert_cause("RBAC-02", "--write", INGESTION_URL=url)

    def test_quota(self):
        self.with_fault("ingest", status=429, headers={"Retry-After": "5"}, body="throttled")
        self.assert_warned("RBAC-03", "--write")

    def test_token_for_something_else(self):
        self.assert_cause("RBAC-04", "--write", INGESTION_AAD_AUDIENCE="https://management.azure.com")

    def test_azure_out_of_order(self):
        self.with_fault("ingest", status=500, body="out of order")
        self.assert_cause("RBAC-05", "--write")

    def test_azure_that_hangs_up(self):
        self.with_fault("ingest", reset="before_head")
        self.assert_cause("RBAC-05", "--write")


class Process(Checked):
    """The sidecar beside the check, and the sender."""

    def test_port_in_use_by_something_else(self):
        other = Answering(200, "hello from another container\n")
        self.addCleanup(other.close)
        self.assert_cause("LIVE-01", LISTENING_PORT=str(other.port), words=["something else"])

    def test_no_process(self):
        self.assert_cause("LIVE-01", LISTENING_PORT=str(free_port()), words=["nothing listens"])

    def test_sidecar_without_a_token(self):
        wrong = {**self.complete, "AZURE_CLIENT_ID": "7e57c0de-0000-4000-8000-00000000dead"}
        sidecar = Remora(self.folder.path, wrong, log="without-token.log")
        sidecar.process.start()
        self.addCleanup(sidecar.process.kill)
        deadline = time.monotonic() + 20
        while "AADSTS700016" not in sidecar.get("/ready").text:
            if time.monotonic() > deadline:
                raise Failure(f"expected /ready to tell the cause within 20 s\n{sidecar.process.tail()}")
            time.sleep(0.05)
        self.assert_cause("LIVE-02", LISTENING_PORT=str(sidecar.port))

    @slow
    def test_a_sidecar_that_delivers_and_one_that_is_refused(self):
        with Stack("check-delivery") as stack:
            stack.scrape_all()
            asked = ("--only", "running-process,prometheus", "--prometheus", stack.prometheus.url)
            how = {**stack.emulator.remora_environment(), "LISTENING_PORT": str(stack.remora.port)}
            status, text = self.check(*asked, **how)
            self.assertEqual(status, 0, text)
            self.assertRegex(text, r"\[ok\]   REMORA-LIVE-03 .*: the last \d+s ago")
            self.assertRegex(text, r"\[ok\]   REMORA-PROM-01 .*: [1-9]\d* samples sent so far")
            stack.emulator.ask("/roles/revoke")
            told = lambda: "REMORA-RBAC-01" in self.check("--only", "LIVE-03", **how)[1]  # noqa: E731
            wait_for("the refusal to be told, with its code", told, 30, 0.5)

    def test_prometheus_that_writes_elsewhere(self):
        prometheus = Prometheus(self.folder.path, f"http://localhost:{free_port()}/api/v1/write").start()
        self.addCleanup(prometheus.process.kill)
        self.assert_warned("PROM-01", "--prometheus", prometheus.url)


if __name__ == "__main__":
    unittest.main()
