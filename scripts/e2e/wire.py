"""Hand-made HTTP/1.1, for requests that a client library would not send."""

import socket

HEAD = (
    "POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
    "Content-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n"
)


def with_length(body):
    """A complete write request."""
    return f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body


def chunked(body, size):
    """A complete write request in chunks of `size` bytes (RFC 9112 §7.1)."""
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    chunks = b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces)
    return f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks + b"0\r\n\r\n"


def statuses(port, sent, count, seconds=20, host="127.0.0.1", source=""):
    """Sends bytes on one connection, reads `count` responses and returns their status codes."""
    with socket.create_connection((host, port), timeout=seconds, source_address=(source, 0)) as connection:
        connection.sendall(sent)
        stream = connection.makefile("rb")
        return [read_answer(stream) for _ in range(count)]


def read_answer(stream):
    """Reads one response with a Content-Length or without a body; returns its status, 0 at the end of the stream."""
    line = stream.readline()
    if not line:
        return 0
    length = 0
    while (field := stream.readline()) not in (b"\r\n", b""):
        name, value = field.split(b":", 1)
        if name.lower() == b"content-length":
            length = int(value)
    stream.read(length)
    return int(line.split()[1])
