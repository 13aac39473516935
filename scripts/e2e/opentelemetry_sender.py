"""OpenTelemetry's Python SDK with its remote-write exporter. Runs in a Python with both packages.

Usage: opentelemetry_sender.py URL EXPORTS SERIES; exports SERIES samples each time, and ends with a message if an
export failed.
"""

import sys

from opentelemetry.exporter.prometheus_remote_write import PrometheusRemoteWriteMetricsExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader


def main():
    url, exports, series = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    exporter = PrometheusRemoteWriteMetricsExporter(endpoint=url, timeout=30)
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    counter = provider.get_meter("e2e").create_counter("e2e_opentelemetry")
    for _export in range(exports):
        for number in range(series):
            counter.add(1, {"i": str(number)})
        reader.collect()


if __name__ == "__main__":
    main()
