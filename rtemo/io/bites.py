"""Bites: what a peer sends is taken in small pieces, so that a flood of the smallest frames holds nobody else up."""

import asyncio
from collections.abc import Iterator

BITE_BYTES = 4096
"""The smallest frames of a WebSocket in it take 10 to 15 ms; those in the 256 KiB that asyncio reads, a second."""


def read_in_bites(transport: asyncio.BaseTransport) -> None:
    """Have asyncio read no more at once, where it is its own transport, without TLS; the network holds the rest."""
    if hasattr(transport, "max_size"):
        transport.max_size = BITE_BYTES


def bites_of(data: bytes, transport: asyncio.BaseTransport) -> Iterator[bytes]:
    """Give what was read at once bite by bite, until the connection is closing."""
    for begin in range(0, len(data), BITE_BYTES):
        if transport.is_closing():
            return
        yield data[begin : begin + BITE_BYTES]
