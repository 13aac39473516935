"""A TLS-inspecting corporate proxy on loopback: it presents a certificate of its own authority for every host."""

import ssl
import subprocess

from emulator import ELSEWHERE
from listener import Listener, read_head
from process import Failure

AUTHORITY = "/O=Contoso/CN=Contoso TLS Inspection"


class Interceptor(Listener):
    """Accepts CONNECT, then terminates TLS itself; nothing is forwarded."""

    def __init__(self, folder, host=ELSEWHERE):
        certificate, key = self._issue(folder, host)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self.authority = folder / "inspection-ca.pem"
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}"

    @staticmethod
    def _issue(folder, host):
        """A certificate for `host` and its key, signed by a new authority."""
        ca, ca_key = folder / "inspection-ca.pem", folder / "inspection-ca.key"
        certificate, key, request = folder / "inspected.pem", folder / "inspected.key", folder / "inspected.csr"
        names = folder / "inspected.ext"
        names.write_text(f"subjectAltName=DNS:{host}\n")
        new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        for command in (
            [*new, "-x509", "-days", "2", "-subj", AUTHORITY, "-keyout", ca_key, "-out", ca],
            [*new, "-subj", f"/CN={host}", "-keyout", key, "-out", request],
            ["openssl", "x509", "-req", "-days", "2", "-in", request, "-CA", ca, "-CAkey", ca_key]
            + ["-CAcreateserial", "-extfile", names, "-out", certificate],
        ):
            done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise Failure(f"expected openssl to make a certificate; saw {done.stderr}")
        return certificate, key

    def serve(self, client):
        """Intercepts one connection."""
        client.settimeout(10)
        try:
            if not read_head(client):
                return
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with self._context.wrap_socket(client, server_side=True) as opened:
                opened.recv(65536)
        except OSError:
            # The client rejected the certificate, as it should.
            client.close()
