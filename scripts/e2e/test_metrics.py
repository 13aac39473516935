"""/metrics and /status: their content and format, and that a real Prometheus and the dashboard can read them."""

import json
import re
import time
import unittest
from pathlib import Path
from urllib.parse import urlencode

import frames
from case import Background, Case, beside, slow
from process import Failure, free_port, wait_for
from prometheus import sum_by_name
from promtool import promtool
from relay import TEXT, Relay
from stack import Stack
from web import fetch

DASHBOARD = Path(__file__).resolve().parents[1] / "deploy/dashboard.json"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PLAIN = "text/plain; version=0.0.4; charset=utf-8"
SERIES = re.compile(r'^(\w+)(?:\{\w+="([^"]*)"\})? (\S+)$')


def series(page):
    """(name, value of its only label) -> value."""
    found = (SERIES.match(line) for line in page.splitlines())
    return {(match[1], match[2]): float(match[3]) for match in found if match}


class Pages(Case):
    """One stack without a sender: the content of the pages."""

    @classmethod
    def setUpClass(cls):
        secret = {"HTTPS_PROXY": "http://someone:hush-hush@127.0.0.1:9", "NO_PROXY": "localhost,127.0.0.1"}
        cls.admin = free_port()
        secret["ADMIN_PORT"] = str(cls.admin)
        cls.stack = Stack("pages", environment=secret, prometheus=False).start()
        cls.folder = cls.stack.folder
        cls.remora = cls.stack.remora

    @classmethod
    def tearDownClass(cls):
        cls.stack.__exit__(None, None, None)

    def page(self, accept=""):
        """The response to a scraper that accepts this."""
        return fetch(f"{self.remora.url}/metrics", fields={"Accept": accept})

    def test_promtool_finds_nothing_to_complain_about(self):
        self.remora.post(frames.one_sample())
        told = promtool("check", "metrics", text=self.page().text)
        self.assertEqual(told, "", "promtool check metrics")

    def test_the_content_type_says_which_format_it_is(self):
        self.assertEqual(self.page().fields["content-type"], PLAIN)
        self.assertEqual(self.page("application/openmetrics-text").fields["content-type"], OPEN_METRICS)
        self.assertTrue(self.page("application/openmetrics-text").text.endswith("\n# EOF\n"))

    def test_head_is_answered_like_get_without_the_page(self):
        got, head = self.page(), fetch(f"{self.remora.url}/metrics", "HEAD")
        self.assertEqual((head.status, head.body), (200, b""))
        self.assertEqual(head.fields["content-type"], got.fields["content-type"])
        self.assertGreater(int(head.fields["content-length"]), 5000)

    def test_a_sender_s_own_authorization_is_counted(self):
        before = series(self.page().text)[("remora_authorization_dropped_total", None)]
        self.remora.post(frames.one_sample(), {"Authorization": "Bearer of-the-sender"})
        after = series(self.page().text)
        self.assertEqual(after[("remora_authorization_dropped_total", None)], before + 1)

    def test_expiries_and_process_are_what_they_are(self):
        seen = series(self.page().text)
        now = time.time()
        self.assertGreater(seen[("remora_token_expiry_timestamp_seconds", None)], now)
        self.assertGreater(seen[("remora_federated_token_expiry_timestamp_seconds", None)], now)
        self.assertLess(abs(seen[("process_start_time_seconds", None)] - now), 600)
        resident = seen[("process_resident_memory_bytes", None)]
        self.assertLess(abs(resident - self.remora.resident_bytes()), 1_000_000, resident)
        self.assertEqual(seen[("remora_ready", None)], 1)

    def test_samples_older_than_20_minutes_are_counted_and_warned_of(self):
        old = frames.now_ms() - 30 * 60 * 1000
        self.remora.post(frames.one_sample(timestamp=old))
        seen = series(self.page().text)
        self.assertGreaterEqual(seen[("remora_samples_too_old_total", None)], 1)
        self.assertIn("samples older than 20 minutes", self.remora.process.output())

    def test_status_tells_the_state_without_a_secret(self):
        answer = self.remora.get("/status")
        self.assertEqual((answer.status, answer.fields["content-type"]), (200, "application/json"))
        self.assertNotIn("hush-hush", answer.text)
        status = answer.json()
        self.assertEqual((status["readiness"], status["healthy"]), ("ready", True))
        self.assertEqual(status["identity"]["identity_type"], "workloadIdentity")
        configuration = status["configuration"]
        self.assertEqual(configuration["listening_port"], str(self.remora.port))
        self.assertTrue(configuration["ingestion_url"].endswith("/write?api-version=2023-04-24"), configuration)
        self.assertTrue(status["token"]["usable"], status)
        self.assert_answer(self.remora.post(b"no snappy"), 400)
        self.assert_answer(self.remora.get("/nowhere"), 404, "/api/v1/write")
        status = self.remora.get("/status").json()
        self.assertEqual(status["last_failure"]["status"], 400, "the last write, not what came after it")
        self.assertIn("snappy", status["last_failure"]["answer"])
        self.assertGreaterEqual(status["counters"]["remora_requests_total"]["400"], 1)
        self.assertGreaterEqual(status["counters"]["remora_requests_rejected_total"]["unknown_path"], 1)

    def test_the_admin_port_has_the_pages_and_takes_no_writes(self):
        for path in ("/metrics", "/status"):
            self.assert_answer(fetch(f"http://127.0.0.1:{self.admin}{path}"), 200)
        fields = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}
        refused = fetch(f"http://127.0.0.1:{self.admin}/api/v1/write", "POST", frames.one_sample(), fields)
        self.assert_answer(refused, 403)

    def test_fifty_readers_at_once_leave_nothing_lent(self):
        readers = [Background(self.remora.get, "/metrics") for _ in range(50)]
        statuses = {reader.result().status for reader in readers}
        # Requests without room for their page get a 503.
        self.assertLessEqual(statuses, {200, 503})
        self.assert_answer(self.remora.get("/metrics"), 200, "remora_body_memory_used_bytes 0\n")

    @beside
    @slow
    def test_a_refusal_that_comes_again_is_one_line_now_and_one_at_the_end_of_the_minute(self):
        refused = lambda: [line for line in self.remora.process.output().splitlines() if "status=405" in line]  # noqa: E731
        for _ in range(300):
            self.assert_answer(self.remora.get("/api/v1/write"), 405)
        self.assertEqual(len(refused()), 1, refused())
        told = wait_for("the minute's end", lambda: refused()[1:], 65, 0.5, self.remora.process)
        self.assertEqual(len(told), 1, told)
        self.assertRegex(told[0], r"repeated=\d{3}")


@beside
class Scraped(Case):
    """Prometheus writes through Remora, meets faults, and meanwhile scrapes Remora in both formats."""

    FAULTS = [
        {"endpoint": "ingest", "after": 2, "count": 2, "action": {"status": 503}},
        {"endpoint": "ingest", "after": 2, "count": 1, "action": {"reset": "request_body"}},
        {"endpoint": "ingest", "after": 2, "count": 1, "action": {"reset": "before_head"}},
        {"endpoint": "ingest", "after": 2, "count": 1, "action": {"status": 401}},
        {"endpoint": "ingest", "after": 2, "count": 1, "action": {"status": 429, "headers": {"Retry-After": "1"}}},
        {"endpoint": "ingest", "after": 2, "count": 1, "action": {"status": 403}},
    ]

    @classmethod
    def setUpClass(cls):
        cls.stack = Stack("scraped").start()
        cls.folder = cls.stack.folder
        cls.relays = {"open": Relay(cls.stack.remora.url), "text": Relay(cls.stack.remora.url, TEXT)}
        cls.stack.emulator.ask("/faults", cls.FAULTS)
        labels = {"namespace": "monitoring", "pod": "prometheus-0"}
        groups = [{"targets": cls.stack.targets(), "labels": labels}]
        groups += [
            {"targets": [relay.address], "labels": {**labels, "job": name}} for name, relay in cls.relays.items()
        ]
        cls.stack.prometheus.scrape_groups(groups)
        wait_for("the first samples to be stored", lambda: cls.stack.stored() > 0, 30, 0.2)
        hit = lambda: all(fault["hits"] for fault in cls.stack.emulator.ask("/faults", method="GET").json())  # noqa: E731
        wait_for("every fault to have hit", hit, 60, 0.5, cls.stack.remora.process)
        time.sleep(8)

    @classmethod
    def tearDownClass(cls):
        for relay in cls.relays.values():
            relay.close()
        cls.stack.__exit__(None, None, None)

    def query(self, expression):
        """The result of an instant query."""
        answer = fetch(f"{self.stack.prometheus.url}/api/v1/query?{urlencode({'query': expression})}")
        if answer.status != 200:
            raise Failure(f"expected an answer to {expression}; saw {answer.text}")
        return answer.json()["data"]["result"]

    def test_a_live_prometheus_takes_both_formats(self):
        for name, content_type in (("open", OPEN_METRICS), ("text", PLAIN)):
            self.assertEqual(set(self.relays[name].delivered), {content_type}, name)
        names = {}

        def both_are_read():
            up = [float(one["value"][1]) for one in self.query("up{job=~'open|text'}")]
            for job in self.relays:
                names[job] = {one["metric"]["__name__"] for one in self.query(f'{{job="{job}"}}')}
            return up == [1.0, 1.0] and names["open"] == names["text"]

        # A slow machine may let a scrape fail.
        wait_for("both pages to be read and to have the same metrics", both_are_read, 10, 0.5)
        self.assertGreater(len([name for name in names["text"] if name.startswith("remora_")]), 35)

    def test_no_panel_of_the_dashboard_is_empty(self):
        panels = [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]
        for panel in panels:
            for target in panel["targets"]:
                expression = target["expr"]
                self.assertIn('cluster=~"$cluster"', expression)
                for word, value in (
                    ("$__rate_interval", "10s"),
                    ("$__range", "60s"),
                    ("$cluster", ".*"),
                    ("$namespace", "monitoring"),
                    ("$pod", "prometheus-.*"),
                ):
                    expression = expression.replace(word, value)
                self.assertNotIn("$", expression)
                values = [float(one["value"][1]) for one in self.query(expression)]
                self.assertTrue([value for value in values if value == value], f"{panel['title']}: {expression}")

    def test_the_counters_are_what_azure_stored_after_faults(self):
        self.stack.drain()
        self.assert_nothing_missing(self.stack, at_least=1000)
        stats = self.stack.emulator.stats()
        page = self.stack.remora.get("/metrics").text
        seen = series(page)
        for kind in ("samples", "histograms", "exemplars"):
            self.assertEqual(seen[(f"remora_{kind}_total", "forwarded")], stats[kind], f"{kind}: {stats}")
        self.assertEqual(seen[("remora_samples_total", "refused")], 0)
        self.assertGreater(seen[("remora_samples_total", "deferred")], 0)
        answered = stats["requests"]["ingest"]
        for status in ("204", "401", "403", "429", "503"):
            azure, here = answered.get(status, 0), seen[("remora_upstream_responses_total", status)]
            # The 204 whose connection was reset before its head never arrived.
            self.assertEqual(here, azure - (1 if status == "204" else 0), f"{status}: {answered}")
        # A reset of a connection that had been idle is retried, any other is counted as an error.
        resets = seen[("remora_upstream_errors_total", "broken")] + seen[("remora_upstream_retries_total", "connection")]
        self.assertEqual(resets, 2)
        self.assertEqual(seen[("remora_upstream_retries_total", "token")], 1)
        self.assertEqual(seen[("remora_upstream_refusals_held_total", None)], 2)
        self.assertEqual(sum_by_name(page)["remora_frames_total"], seen[("remora_frames_total", "good")])


if __name__ == "__main__":
    unittest.main()
