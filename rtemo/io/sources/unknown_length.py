"""Sound files from writers that could not seek back: where the header should tell the length it holds a placeholder."""

import io
import struct
from typing import BinaryIO

PLACEHOLDER_BYTES = 0x7FFF_0000
"""Writers into a pipe announce at least this much (sox 0x7FFFF000, ffmpeg 0xFFFFFFFF), or nothing at all."""

_MOST_BYTES = 0xFFFF_FFFE
_DS64_DATA_SIZE = 8  # place of the data size within the chunk ds64, EBU Tech 3306
_LONGEST_TAIL_CHUNKS = 64


def length_patches(file: BinaryIO) -> dict[int, bytes]:
    """Find what must stand in the header of a file whose header announces no audio although audio follows.

    Known are RIFF, RIFX and RF64 (a `data` chunk of size 0, followed by something that is no chunk) and AU (a data size
    of 0). Everything else libsndfile reads to its end by itself.

    Args:
        file: The file, at any position; left at its beginning.

    Returns:
        Position in the file → bytes that belong there; empty when the header is right, or of another kind.
    """
    size_bytes = file.seek(0, io.SEEK_END)
    try:
        file.seek(0)
        head = file.read(12)
        if head[:4] in (b"RIFF", b"RF64", b"RIFX") and head[8:] == b"WAVE":
            return _wave_patches(file, size_bytes, ">" if head[:4] == b"RIFX" else "<")
        if head[:4] == b".snd" and len(head) == 12:
            offset, announced = struct.unpack(">4xII", head)
            return {8: b"\xff\xff\xff\xff"} if announced == 0 and 24 <= offset < size_bytes else {}
        return {}
    finally:
        file.seek(0)


class PatchedFile(io.RawIOBase):
    """A binary file as it reads with some bytes replaced.

    Args:
        file: What is read.
        patches: Position → bytes that are read there instead.
    """

    def __init__(self, file: BinaryIO, patches: dict[int, bytes]) -> None:
        super().__init__()
        self._inner = file
        self._patches = patches

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be sought in."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position."""
        return self._inner.seek(offset, whence)

    def tell(self) -> int:
        """Tell the position."""
        return self._inner.tell()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read into a buffer and tell how many bytes came."""
        start = self._inner.tell()
        data = bytearray(self._inner.read(len(buffer)))
        for at, patch in self._patches.items():
            low, high = max(at, start), min(at + len(patch), start + len(data))
            if low < high:
                data[low - start : high - start] = patch[low - at : high - at]
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the file."""
        self._inner.close()
        super().close()


def _wave_patches(file: BinaryIO, size_bytes: int, order: str) -> dict[int, bytes]:
    at, ds64 = 12, 0
    while at + 8 <= size_bytes:
        file.seek(at)
        name, announced = struct.unpack(f"{order}4sI", file.read(8))
        if name == b"ds64":
            ds64 = at + 8 + _DS64_DATA_SIZE
        if name != b"data":
            at += 8 + announced + announced % 2
            continue
        rest = size_bytes - at - 8
        if ds64 and announced == 0xFFFF_FFFF:
            file.seek(ds64)
            (announced,) = struct.unpack(f"{order}q", file.read(8))
            is_told = announced > 0
            patch = {ds64: struct.pack(f"{order}Q", rest)}
        else:
            is_told = announced != 0
            patch = {at + 4: struct.pack(f"{order}I", min(rest, _MOST_BYTES))}
        return {} if is_told or rest <= 0 or _are_chunks(file, at + 8, size_bytes, order) else patch
    return {}


def _are_chunks(file: BinaryIO, at: int, size_bytes: int, order: str) -> bool:
    """Tell whether chunks stand there up to the end of the file, as after a recording that is truly empty."""
    for _ in range(_LONGEST_TAIL_CHUNKS):
        if at >= size_bytes:
            return True
        file.seek(at)
        head = file.read(8)
        if len(head) < 8 or not all(0x20 <= byte < 0x7F for byte in head[:4]):
            return False
        (length,) = struct.unpack(f"{order}I", head[4:])
        at += 8 + length + length % 2
        if at > size_bytes + 1:
            return False
    return False
