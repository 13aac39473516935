"""Small HTTP/1.1 requests to loopback addresses, bypassing any proxy in the environment."""

import http.client
import json
from typing import NamedTuple
from urllib.parse import urlsplit


class Answer(NamedTuple):
    """Status (0 if nothing listened or the connection broke), fields with lower-case names, body."""

    status: int
    fields: dict
    body: bytes

    @property
    def text(self):
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    def json(self):
        """The body as JSON."""
        return json.loads(self.body)


def exchange(connection, method, target, body=None, fields=None):
    """One request on an open connection; network errors are left to the caller."""
    connection.request(method, target, body=body, headers=fields or {})
    response = connection.getresponse()
    content = response.read()
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)


def fetch(url, method="GET", body=None, fields=None, seconds=30):
    """One request on a new connection; a network error becomes an Answer with status 0 and its text."""
    parts = urlsplit(url)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=seconds)
    try:
        return exchange(connection, method, target, body, fields)
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, {}, f"{type(error).__name__}: {error}".encode())
    finally:
        connection.close()
