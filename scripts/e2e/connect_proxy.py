"""A forward proxy on loopback that knows CONNECT and nothing else."""

import base64
import socket
import threading


class ConnectProxy:
    """Tunnels bytes and remembers who was asked for, and with what login."""

    def __init__(self):
        self.asked = []
        self._refusal = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, login=""):
        """The value of HTTPS_PROXY."""
        return f"http://{login}{'@' if login else ''}127.0.0.1:{self.port}"

    def refuse_after(self, count, answer):
        """Opens so many tunnels more; whoever asks for another gets these bytes and a closed connection."""
        self._refusal = (len(self.asked) + count, answer)

    def close(self):
        """Takes no more connections."""
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._tunnel, args=(client,), daemon=True).start()

    def _tunnel(self, client):
        lines = self._head(client).split("\r\n")
        method, target, _ = lines[0].split(" ")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        login = fields.get("proxy-authorization", "").removeprefix("Basic ")
        self.asked.append((method, target, base64.b64decode(login).decode()))
        if self._refusal and len(self.asked) > self._refusal[0]:
            client.sendall(self._refusal[1])
            client.close()
            return
        host, port = target.rsplit(":", 1)
        with client, socket.create_connection((host, int(port))) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=self._copy, args=(server, client), daemon=True)
            back.start()
            self._copy(client, server)
            back.join(5)

    @staticmethod
    def _head(client):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = client.recv(1)
            if not byte:
                break
            head += byte
        return head.decode()

    @staticmethod
    def _copy(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass
