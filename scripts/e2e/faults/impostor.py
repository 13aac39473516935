"""A server with Azure's certificate that sends bytes no HTTP library would."""

import socket
import ssl
import threading

from process import free_port

LARGEST_HEAD = 64 * 1024


class Impostor(threading.Thread):
    """Reads a request's head, sends `words`, and then closes, waits forever, or keeps sending."""

    def __init__(self, folder, words, after="close"):
        super().__init__(daemon=True)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(folder / "server.pem", folder / "server.key")
        self._words = words
        self._after = after
        self.port = free_port()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._open = set()
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def stop(self):
        """Closes the listener and all open connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for client in list(self._open):
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _serve(self, client):
        self._open.add(client)
        try:
            with self._tls.wrap_socket(client, server_side=True) as secure:
                self._converse(secure)
        except OSError:
            # The peer may disconnect at any time.
            pass
        finally:
            self._open.discard(client)

    def _converse(self, secure):
        head = b""
        while b"\r\n\r\n" not in head and len(head) < LARGEST_HEAD:
            piece = secure.recv(4096)
            if not piece:
                return
            head += piece
        secure.sendall(self._words)
        while self._after == "repeat":
            secure.sendall(self._words)
        while self._after == "wait" and secure.recv(4096):
            pass
