"""A relay from Prometheus to /metrics that can request one of the two formats, and records what was delivered.

Debian's Prometheus requests OpenMetrics and has no setting to request text.
"""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from web import fetch

TEXT = "text/plain;version=0.0.4"


class Relay:
    """Passes GETs on to `url`, with the given `accept` or otherwise the scraper's own."""

    def __init__(self, url, accept=None):
        self.delivered = []

        class Handler(BaseHTTPRequestHandler):
            """One scrape."""

            def do_GET(handler):
                fields = {"Accept": accept or handler.headers.get("Accept", "")}
                answer = fetch(url + handler.path, fields=fields)
                content_type = answer.fields.get("content-type", "")
                self.delivered.append(content_type)
                handler.send_response(answer.status or 502)
                handler.send_header("Content-Type", content_type)
                handler.send_header("Content-Length", str(len(answer.body)))
                handler.end_headers()
                handler.wfile.write(answer.body)

            def log_message(handler, *_):
                """Logs nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self):
        """Its `host:port`."""
        return f"127.0.0.1:{self._server.server_port}"

    def close(self):
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()
