"""Senders of all kinds: each writes for a while, and reports how many samples it has accepted for sending."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import frames
import pinned
from process import Failure, Process, free_port
from prometheus import Prometheus, sum_by_name
from stack import SCRAPED
from web import fetch


class Scraping:
    """A sender that runs by itself."""

    process = None

    def write(self, seconds):
        """Lets it scrape and write for that time."""
        time.sleep(seconds)

    def stop(self):
        """Stops it."""
        self.process.kill()


class PrometheusServer(Scraping):
    """Prometheus, with its storage and write-ahead log."""

    AGENT = False
    TAKEN = SCRAPED

    def __init__(self, folder, write_url, target):
        self._prometheus = Prometheus(folder, write_url, agent=self.AGENT)
        self.process = self._prometheus.start().process
        self._prometheus.scrape([target])

    def finish(self):
        """Stops scraping."""
        self._prometheus.scrape([])

    def taken(self):
        """Samples so far, including stale markers."""
        return self._prometheus.metric(self.TAKEN)


class PrometheusAgent(PrometheusServer):
    """Prometheus without storage, only with a log of samples still to be sent."""

    AGENT = True
    TAKEN = "prometheus_agent_samples_appended_total"


class Vmagent(Scraping):
    """VictoriaMetrics' agent."""

    CONFIG = """\
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: demo
    file_sd_configs: [{{files: ['{targets}']}}]
"""

    def __init__(self, folder, write_url, target):
        self._targets = folder / "vmagent-targets.json"
        config = folder / "vmagent.yml"
        config.write_text(self.CONFIG.format(targets=self._targets))
        self._scrape([target])
        address = f"127.0.0.1:{free_port()}"
        self._metrics = f"http://{address}/metrics"
        binary = os.environ.get("VMAGENT_BIN") or shutil.which("vmagent") or "vmagent"
        command = [binary, f"-promscrape.config={config}", f"-httpListenAddr={address}"]
        command += [f"-remoteWrite.url={write_url}"]
        command += [f"-remoteWrite.tmpDataPath={folder / 'vmagent'}", "-promscrape.fileSDCheckInterval=1s"]
        self.process = Process("vmagent", command, folder / "vmagent.log").start()

    def _scrape(self, targets):
        fresh = self._targets.with_suffix(".new")
        fresh.write_text(json.dumps([{"targets": targets}] if targets else []))
        fresh.replace(self._targets)

    def finish(self):
        """Stops scraping."""
        self._scrape([])

    def taken(self):
        """Samples so far, including stale markers."""
        metrics = sum_by_name(fetch(self._metrics).text)
        return int(metrics.get("vmagent_remotewrite_rows_pushed_after_relabel_total", 0))


class Called:
    """A sender that runs only while it is called."""

    def finish(self):
        """Nothing to do: it has already ended."""

    def stop(self):
        """Nothing to do: it has already ended."""


class Curl(Called):
    """curl, one body after another, each retried as curl does on 503."""

    SAMPLES = 10
    OPTIONS = ("--silent", "--show-error", "--fail", "--noproxy", "*", "--retry", "30")
    FIELDS = ("Content-Type: application/x-protobuf", "Content-Encoding: snappy")

    def __init__(self, folder, write_url, _target):
        self._body = folder / "curl-body"
        self._command = ["curl", *self.OPTIONS, *(word for field in self.FIELDS for word in ("--header", field))]
        self._command += ["--data-binary", f"@{self._body}", write_url]
        self._sent = 0

    def write(self, seconds):
        """Sends bodies for that time."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self._post()

    def _post(self):
        now = frames.now_ms()
        series = [frames.series({"__name__": "e2e_curl", "i": str(i)}, float(i), now) for i in range(self.SAMPLES)]
        self._body.write_bytes(frames.snappy(*series))
        must_succeed(self._command)
        self._sent += self.SAMPLES

    def taken(self):
        """Samples so far."""
        return self._sent


class OpenTelemetry(Called):
    """OpenTelemetry's SDK for Python, which drops what it cannot deliver at the first attempt."""

    PINNED = ("opentelemetry-exporter-prometheus-remote-write==0.66b1",)
    PROGRAM = Path(__file__).with_name("opentelemetry_sender.py")
    EXPORTS, SERIES = 20, 100

    def __init__(self, _folder, write_url, _target):
        self._write_url = write_url
        # Installed now, so that no time limit of the test covers a download.
        self._python = pinned.python("opentelemetry", *self.PINNED) / "python"

    def write(self, _seconds):
        """Exports a fixed number of times, however long that takes."""
        must_succeed([self._python, "-B", self.PROGRAM, self._write_url, str(self.EXPORTS), str(self.SERIES)])

    def taken(self):
        """Samples in all exports."""
        return self.EXPORTS * self.SERIES


def must_succeed(command):
    """Runs a command; its failure fails the test."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise Failure(f"expected {command[0]} to deliver; it ended with {done.returncode}: {done.stdout}{done.stderr}")
