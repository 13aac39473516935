"""A forward proxy on loopback that supports only CONNECT, and for which every host is on loopback."""

import base64
import socket
import threading

from listener import Listener, read_head


class ConnectProxy(Listener):
    """Tunnels bytes and records the requested hosts and logins."""

    def __init__(self):
        self.asked = []
        self._refusal = None
        super().__init__()

    def url(self, login=""):
        """The value of HTTPS_PROXY."""
        return f"http://{login}{'@' if login else ''}127.0.0.1:{self.port}"

    def refuse_after(self, count, answer):
        """Opens this many more tunnels; later requests get these bytes and a closed connection."""
        self._refusal = (len(self.asked) + count, answer)

    def serve(self, client):
        """Opens one tunnel."""
        lines = read_head(client).split("\r\n")
        method, target, _ = lines[0].split(" ")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        login = fields.get("proxy-authorization", "").removeprefix("Basic ")
        self.asked.append((method, target, base64.b64decode(login).decode()))
        if self._refusal and len(self.asked) > self._refusal[0]:
            client.sendall(self._refusal[1])
            client.close()
            return
        port = target.rsplit(":", 1)[1]
        with client, socket.create_connection(("127.0.0.1", int(port))) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=self._copy, args=(server, client), daemon=True)
            back.start()
            self._copy(client, server)
            back.join(5)

    @staticmethod
    def _copy(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass
