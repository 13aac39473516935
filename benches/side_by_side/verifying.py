"""A server in the sink's place that records the body and the Authorization headers of every request."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from sink import Upstream


class Arrived(NamedTuple):
    """A request that arrived."""

    body: bytes
    authorizations: tuple


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self._chunks() if self.headers["Transfer-Encoding"] else self.rfile.read(self._length())
        self.server.arrived.append(Arrived(body, tuple(self.headers.get_all("Authorization", []))))
        self.send_response(204)
        self.end_headers()

    def _length(self):
        return int(self.headers["Content-Length"] or 0)

    def _chunks(self):
        parts = []
        while length := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(length))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def log_message(self, format, *args):
        """Logs nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, context=None):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.arrived = []
        self._context = context

    def get_request(self):
        connection, address = super().get_request()
        if self._context is not None:
            # The handler thread does the handshake, with its first read.
            connection = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, request, client_address):
        """Ignored: a broken connection shows in what does not arrive."""


class Verifying:
    """The server with TLS 1.3 and without TLS; `arrived` returns the requests since its last call."""

    def __init__(self, folder, roots):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
        self._servers = [_Server(context), _Server()]
        self._roots = roots
        for server in self._servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def upstream(self, suite):
        """Where to forward to."""
        tls, plain = (server.server_address[1] for server in self._servers)
        return Upstream(tls, plain, suite, self._roots)

    def arrived(self):
        """Requests since the last call."""
        found = [request for server in self._servers for request in server.arrived]
        for server in self._servers:
            server.arrived.clear()
        return found

    def close(self):
        """Stops both servers."""
        for server in self._servers:
            server.shutdown()
            server.server_close()
