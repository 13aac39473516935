"""Credentials that change and endpoints that fail while the process runs."""

import os
import shutil
import time
import unittest

import jose
from case import Case, beside, seconds
from frames import one_sample
from process import wait_for
from stack import Stack

# Renewed about every five seconds; without renewal, missing ten seconds after it was granted.
LIFE = ("--token-life", "10s")
# Remora's own limit for one exchange, and the pause that Entra requests when it throttles.
TIMEOUT, THROTTLE = 20, 60
# In place of a file: opening it would wait for a writer.
PIPE = object()


class Bench(Case):
    """Remora and the emulator without a Prometheus."""

    def bench(self, identity=None, flags=LIFE, environment=None):
        """Both, ready to run, with Remora not started."""
        stack = Stack("credentials", flags, environment, prometheus=False, identity=identity)
        # Removed at the end of the run, unless the test fails.
        self.folder = stack.folder
        self.addCleanup(stack.stop)
        stack.emulator.start()
        stack.remora = stack.make_remora()
        return stack

    def fail(self, stack, action, endpoint="token", **more):
        """Applies this action to the endpoint's next requests."""
        stack.emulator.ask("/faults", {"endpoint": endpoint, "action": action, **more})

    def recover(self, stack):
        """Clears all faults."""
        stack.emulator.ask("/faults", method="DELETE")

    def asked(self, stack, endpoint="token"):
        """Number of requests to the endpoint, including connections that broke."""
        return sum(stack.emulator.stats()["requests"].get(endpoint, {}).values())

    def issued(self, stack):
        """Number of tokens issued so far."""
        return stack.emulator.stats()["tokens_issued"]

    def wait_for_line(self, stack, *texts, within=30):
        """The first log line that contains all these texts."""
        def found():
            lines = stack.remora.process.output().splitlines()
            return next((line for line in lines if all(text in line for text in texts)), None)

        return wait_for(f"a log line with {texts}", found, within, process=stack.remora.process)

    def assert_writes(self, stack):
        """A write is accepted."""
        self.assert_answer(stack.remora.post(one_sample()), 204)

    def wait_for_renewal(self, stack, within=20):
        """Waits for one more token."""
        before = self.issued(stack)
        wait_for("another token", lambda: self.issued(stack) > before, within, 0.2, stack.remora.process)


@beside
class Files(Bench):
    """Every file is read again at each exchange."""

    def test_projected_token_missing_empty_cut_and_back(self):
        stack = self.bench()
        environment = stack.emulator.remora_environment()
        own = stack.folder.path / "projected"
        source = environment["AZURE_FEDERATED_TOKEN_FILE"]
        shutil.copy(source, own)
        stack.remora.process.env["AZURE_FEDERATED_TOKEN_FILE"] = str(own)
        stack.remora.start()
        whole = own.read_text()
        cut = whole[: len(whole) // 2]
        for broken, said in ((None, "No such file"), ("", "empty"), (cut, "AADSTS50027"), (PIPE, "not a regular file")):
            own.unlink()
            if broken is PIPE:
                os.mkfifo(own)
            elif broken is not None:
                own.write_text(broken)
            self.wait_for_line(stack, "token exchange failed", said, "fix=")
            self.assert_writes(stack)
            self.assert_answer(stack.remora.get("/metrics"), 200)
            own.unlink(missing_ok=True)
            own.write_text(whole + "\n")
            # The old token may have expired meanwhile: then the sender got a 503, and that ends soon.
            wait_for("a write to be taken again", lambda: stack.remora.post(one_sample()).status == 204, 40, 0.5)
            self.wait_for_renewal(stack, 40)
        self.assertNotIn("eyJ", stack.remora.process.output(), stack.where())

    def test_certificate_swapped_expired_and_back(self):
        stack = self.bench("certificate")
        own = stack.folder.path / "client.pem"
        azure = stack.emulator.folder
        shutil.copy(azure / "client.pem", own)
        stack.remora.process.env["AZURE_CLIENT_CERTIFICATE_PATH"] = str(own)
        stack.remora.start()
        jose.judge_last(stack.emulator, azure / "client.pem")
        shutil.copy(azure / "client-next.pem", own)
        self.wait_for_renewal(stack)
        jose.judge_last(stack.emulator, azure / "client-next.pem")
        shutil.copy(azure / "client-expired.pem", own)
        self.wait_for_line(stack, "token exchange failed", "certificate-expired", "AADSTS")
        self.assert_writes(stack)
        own.write_text("-----BEGIN CERTIFICATE-----\n")
        self.wait_for_line(stack, "token exchange failed", "certificate-contents", within=50)
        shutil.copy(azure / "client.pem", own)
        self.wait_for_renewal(stack, 40)
        self.assert_writes(stack)

    def test_secret_in_a_file_that_is_replaced(self):
        stack = self.bench("secret")
        own = stack.folder.path / "secret"
        own.write_text(stack.remora.process.env.pop("AZURE_CLIENT_SECRET") + "\n")
        stack.remora.process.env["AZURE_CLIENT_SECRET_FILE"] = str(own)
        stack.remora.start()
        own.write_text("another secret")
        line = self.wait_for_line(stack, "token exchange failed", "secret-wrong")
        for part in ("trace_id=", "correlation_id=", "client_id=", "az ad app credential reset"):
            self.assertIn(part, line)
        self.assertNotIn("another secret", stack.remora.process.output(), stack.where())

    def test_chain_of_a_certificate_goes_along(self):
        chain = {"AZURE_CLIENT_SEND_CERTIFICATE_CHAIN": "true"}
        stack = self.bench("certificate", environment=chain)
        file = str(stack.emulator.folder / "client-chain.pem")
        stack.remora.process.env["AZURE_CLIENT_CERTIFICATE_PATH"] = file
        stack.remora.start()
        found = jose.judge_last(stack.emulator, stack.emulator.folder / "client.pem")
        self.assertEqual((found["chain"], found["padded"]), (2, []))

    def test_authority_of_the_token_proxy_replaced(self):
        stack = self.bench("identity-binding")
        stack.remora.start()
        stack.emulator.ask("/identity-binding/rotate")
        self.wait_for_renewal(stack)
        self.assert_writes(stack)


@beside
class Clock(Bench):
    """Entra's clock differs from this machine's."""

    def test_a_certificates_assertion_is_made_by_entras_clock(self):
        # An assertion is valid for ten minutes from when it is made. Entra tolerates five more at either end, the
        # emulator only seconds.
        for skew, asked in ((300, 1), (-600, 2), (1200, 2)):
            with self.subTest(skew=skew):
                stack = self.bench("certificate")
                stack.emulator.ask("/settings", {"clock_skew_s": skew})
                stack.remora.start()
                self.assertEqual(self.asked(stack), asked, f"refused at most once, and tried again at once; {stack.where()}")

    def test_it_is_told(self):
        stack = self.bench()
        stack.emulator.ask("/settings", {"clock_skew_s": 1510})
        stack.remora.start()
        self.wait_for_line(stack, "clock differs", 'clock="25m', "behind", "REMORA-NET-04")
        self.assertRegex(stack.remora.get("/metrics").text, r"\nremora_clock_skew_seconds 15(0[5-9]|1[0-5])\.")


@beside
class Failures(Bench):
    """Failures of an endpoint do not affect the sender as long as the old token is valid."""

    def test_throttled_once_asked_once(self):
        # With the pause that Entra asks for, and without.
        for action in ({"fail": 429}, {"status": 429}):
            with self.subTest(action=action):
                # Renewed at half of its life: so it expires while the test watches, which ends any shorter pause.
                stack = self.bench(flags=("--token-life", "16s"))
                stack.remora.start()
                self.fail(stack, action)
                self.wait_for_line(stack, "token exchange failed", "throttled", "old_token_serves=true")
                self.assert_writes(stack)
                asked = self.asked(stack)
                began = time.monotonic()
                while time.monotonic() - began < seconds(12, 55):
                    self.assertEqual(self.asked(stack), asked, f"asked again before the pause was over; {stack.where()}")
                    time.sleep(1)

    def test_throttled_from_the_start_heals_by_itself(self):
        stack = self.bench()
        self.fail(stack, {"fail": 429}, count=1)
        stack.remora.process.start()
        self.wait_for_line(stack, "token exchange failed", "throttled")
        answer = stack.remora.post(one_sample())
        self.assert_answer(answer, 503, "throttled")
        self.assertIn("retry-after", answer.fields)
        wait_for("Remora to be ready", stack.remora.is_ready, THROTTLE + 10, 0.5, stack.remora.process)
        self.assert_writes(stack)

    def test_one_byte_a_second_is_no_answer(self):
        stack = self.bench()
        self.fail(stack, {"slow": 1})
        stack.remora.process.start()
        self.wait_for_line(stack, "token exchange failed", f"no answer within {TIMEOUT} s", within=TIMEOUT + 10)
        self.recover(stack)
        wait_for("Remora to be ready", stack.remora.is_ready, 20, 0.2, stack.remora.process)

    def test_nonsense_is_survived_and_not_repeated(self):
        stack = self.bench()
        nonsense = [
            {"status": 200, "body": "<html>log in, stranger</html>"},
            {"status": 200, "body": "stranger ", "repeat_to": 1 << 20},
            {"status": 200, "body": '{"token_type":"Bearer","expires_in":"stranger","access_token":"x"}'},
            {"status": 302, "headers": {"location": "https://stranger.example/"}},
            {"truncate": 20},
        ]
        for action in nonsense:
            self.fail(stack, action, count=1)
        stack.remora.process.start()
        wait_for("Remora to be ready", stack.remora.is_ready, 60, 0.2, stack.remora.process)
        self.assertEqual(self.asked(stack), len(nonsense) + 1, stack.where())
        self.assertNotIn("stranger", stack.remora.process.output(), stack.where())
        self.assertLess(stack.remora.resident_bytes(), 8 << 20, stack.where())

    def test_equal_failures_make_one_line(self):
        stack = self.bench("secret", environment={"AZURE_CLIENT_SECRET": "hush-1234567"})
        stack.remora.process.start()
        wait_for("five exchanges", lambda: self.asked(stack) >= 5, 40, 0.2, stack.remora.process)
        text = stack.remora.process.output()
        self.assertEqual(text.count("token exchange"), 1, stack.where())
        told = stack.remora.post(one_sample()).text
        for part in ("secret-wrong", "az ad app credential reset", "trace_id"):
            self.assertIn(part, told)
        self.assertLessEqual(len(told.encode()), 1024)
        self.assertNotIn("hush", text + told)

    def test_metadata_service_that_is_being_replaced(self):
        stack = self.bench("imds-system")
        for status in (404, 410, 429, 500):
            self.fail(stack, {"fail": status}, "imds", count=1)
        stack.remora.process.start()
        wait_for("Remora to be ready", stack.remora.is_ready, 40, 0.2, stack.remora.process)
        self.assertEqual(self.asked(stack, "imds"), 5, stack.where())

    def test_no_proxy_is_asked_for_a_machines_token(self):
        nowhere = {name: "http://127.0.0.1:1" for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY")}
        for identity in ("imds-system", "app-service", "identity-binding"):
            with self.subTest(identity=identity):
                self.bench(identity, environment=nowhere).remora.start()

    def test_an_identity_that_is_not_assigned(self):
        stack = self.bench("imds-user", environment={"AZURE_CLIENT_ID": "3913510d-42f4-4e42-8a64-420c390055eb"})
        stack.remora.process.start()
        self.wait_for_line(stack, "token exchange failed", "identity-missing", "az vmss identity assign")

    def test_a_federated_credential_for_another_subject(self):
        stack = self.bench()
        stack.emulator.ask("/projected-token", {"subject": "system:serviceaccount:other:account", "write": True})
        stack.remora.process.start()
        line = self.wait_for_line(stack, "token exchange failed", "code=AADSTS700213")
        for part in ("federated-credential create", "--subject system:serviceaccount:other:account ", "issuer=", "timestamp="):
            self.assertIn(part, line)


if __name__ == "__main__":
    unittest.main()
