"""A real Prometheus that scrapes on loopback and writes to one remote-write URL."""

import json
import os
import re
import shutil
from urllib.parse import quote

from process import Failure, Process, free_port, wait_for
from web import fetch

SAMPLE_LINE = re.compile(r"^([A-Za-z_:][A-Za-z0-9_:]*)(?:\{.*\})? (\S+)")

CONFIG = """\
global:
  scrape_interval: {interval}
  scrape_timeout: 1s
  external_labels: {{cluster: demo}}
scrape_configs:
  - job_name: demo
    file_sd_configs:
      - files: ['{targets}']
        refresh_interval: 5s
remote_write:
  - url: {url}{message}
    queue_config: {{batch_send_deadline: {deadline}}}
    metadata_config: {{send_interval: 10s}}
"""


def sum_by_name(exposition):
    """Metric name -> sum over its series, from Prometheus' text format."""
    sums = {}
    for line in exposition.splitlines():
        match = SAMPLE_LINE.match(line)
        if match:
            sums[match[1]] = sums.get(match[1], 0.0) + float(match[2])
    return sums


class Prometheus:
    """Scrapes nothing until `scrape()` sets targets, so that its write queue is up before the first sample.

    Samples wait up to `deadline` for a batch to fill; Prometheus' default is 5s. PROMETHEUS_BIN names another binary than
    the installed one, PROMETHEUS_MESSAGE another message than that of remote-write 1.0.
    """

    def __init__(self, folder, write_url, agent=False, interval="1s", deadline="1s"):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._targets = folder / "targets.json"
        config = folder / "prometheus.yml"
        name = os.environ.get("PROMETHEUS_MESSAGE")
        message = f"\n    protobuf_message: {name}" if name else ""
        settings = {"url": write_url, "message": message, "interval": interval, "deadline": deadline}
        config.write_text(CONFIG.format(targets=self._targets, **settings))
        self.scrape([])
        binary = os.environ.get("PROMETHEUS_BIN") or shutil.which("prometheus") or "prometheus"
        command = [binary, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{self.port}"]
        if agent:
            command += ["--enable-feature=agent", f"--storage.agent.path={folder / 'agent'}"]
        else:
            command += [f"--storage.tsdb.path={folder / 'tsdb'}", "--storage.tsdb.retention.time=1d"]
        self.process = Process("prometheus", command, folder / "prometheus.log")

    def start(self):
        """Starts it and waits until it follows its own write-ahead log, which feeds the write queue."""
        self.process.start()
        wait_for("Prometheus to be ready", self._following, 30, process=self.process)
        return self

    def _following(self):
        return fetch(f"{self.url}/-/ready").status == 200 and "prometheus_wal_watcher_current_segment" in self.metrics()

    def scrape(self, addresses):
        """Replaces the list of scraped `host:port`; Prometheus acts on it within about 10 s."""
        self.scrape_groups([{"targets": [address]} for address in addresses])

    def scrape_groups(self, groups):
        """Like `scrape`, with groups of targets as in file_sd, which can have labels of their own."""
        fresh = self._targets.with_suffix(".new")
        fresh.write_text(json.dumps(groups))
        fresh.replace(self._targets)

    @property
    def address(self):
        """Its own `host:port`, for scraping itself."""
        return f"127.0.0.1:{self.port}"

    def metrics(self):
        """Its own metrics, read directly from /metrics: name -> sum over series."""
        answer = fetch(f"{self.url}/metrics")
        return sum_by_name(answer.text) if answer.status == 200 else {}

    def metric(self, name):
        """One of these metrics; 0 if it is absent."""
        return int(self.metrics().get(name, 0))

    def count(self, selector):
        """Number of series that currently match `selector` and are not stale."""
        answer = fetch(f"{self.url}/api/v1/query?query={quote(f'count({selector})')}")
        if answer.status != 200:
            raise Failure(f"expected Prometheus to count {selector}; it answered {answer.status} {answer.text}")
        result = json.loads(answer.text)["data"]["result"]
        return int(result[0]["value"][1]) if result else 0

    def stop(self):
        """Stops it; the data stay in the work folder."""
        return self.process.stop(20)
