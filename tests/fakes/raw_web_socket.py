"""A WebSocket by hand, for what no client library would send."""

import socket

PINGS = (b"\x89\xfd" + bytes(4) + bytes(125)) * 500
SHORT_PINGS = (b"\x89\x80" + bytes(4)) * 5_000
PIECES = b"\x02\x80" + bytes(4) + (b"\x00\x80" + bytes(4)) * 5_000
"""A message that has begun, and pieces of it in which is nothing."""


def shake(port: int, path: str = "/", *headers: str) -> socket.socket:
    """Open a WebSocket that will take next to nothing unread."""
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.settimeout(10)
    peer.connect(("127.0.0.1", port))
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *headers,
    )
    peer.sendall("\r\n".join((*lines, "", "")).encode())
    return peer


def text_frame(text: str) -> bytes:
    """Write a masked frame of text, up to 64 KiB."""
    data = text.encode()
    length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2)
    return b"\x81" + length + bytes(4) + data


def flood(peer: socket.socket, data: bytes, most_bytes: int) -> int:
    """Send, without reading, until the other end gives up; tell how much it took."""
    sent = 0
    try:
        while sent < most_bytes:
            peer.sendall(data)
            sent += len(data)
    except OSError:
        pass
    return sent
