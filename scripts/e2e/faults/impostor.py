"""A server with Azure's certificate that sends bytes no HTTP library would."""

import socket
import ssl
import threading

from process import free_port

LARGEST_HEAD = 64 * 1024


class Impostor(threading.Thread):
    """Reads a request head and sends `words`, then closes the connection, waits, or repeats the words. With "answer" it
    answers one complete request after another; with "mute" it does not even speak TLS.
    """

    def __init__(self, folder, words, after="close"):
        super().__init__(daemon=True)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(folder / "server.pem", folder / "server.key")
        self._words = words
        self._after = after
        self.port = free_port()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._open = set()
        self.served = 0
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.served += 1
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
            if self._after == "mute":
                while client.recv(4096):
                    pass
            with self._tls.wrap_socket(client, server_side=True) as secure:
                self._converse(secure)
        except OSError:
            # The peer may disconnect at any time.
            pass
        finally:
            self._open.discard(client)

    def _converse(self, secure):
        if self._after == "answer":
            requests = secure.makefile("rb")
            while take_request(requests):
                secure.sendall(self._words)
            return
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


def take_request(stream):
    """Reads one request with a Content-Length to its end; false at the end of the stream."""
    length = 0
    while (line := stream.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return line != b"" and len(stream.read(length)) == length
