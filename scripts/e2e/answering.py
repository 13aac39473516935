"""A server that gives every request the same response: a proxy that refuses, or somebody else's server."""

import http.server
import threading


class Answering:
    """Responds to GET and CONNECT with one status and one line."""

    def __init__(self, status, text="no\n"):
        class Handler(http.server.BaseHTTPRequestHandler):
            """Gives everyone the same response."""

            def answer(self):
                """Sends the response."""
                content = text.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_CONNECT = answer

            def log_message(self, *_):
                """Logs nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        """Stops the server."""
        self._server.shutdown()
        self._server.server_close()
