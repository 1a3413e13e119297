"""Files that are there whole or not at all: what stood in their place before is kept until they are."""

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

_LONGEST_NAME_BYTES = 255  # of nearly every file system
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


def part_of(path: Path) -> Path:
    """Name the file under which another one is written until it is finished."""
    part = f".{path.name}.part"
    if len(os.fsencode(part)) > _LONGEST_NAME_BYTES:
        part = f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:32]}.part"
    return path.with_name(part)


@contextlib.contextmanager
def gone_if_broken(part: Path) -> Iterator[None]:
    """Remove a file that was begun where the block breaks off, by whatever: full disks must not be filled by it."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def write_whole(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write beside its place and move it there, on the disk before it bears its name; folders are made.

    What is no file (`/dev/stdout`, a named pipe), and a file in a folder that takes no new ones, is written as it is.

    Args:
        path: Its place; a link stays one.
        content: All of it.
        mode: Its permissions, less the umask.

    Raises:
        OSError: It cannot be written.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(path)
    try:
        part.unlink(missing_ok=True)
        number = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except OSError as error:
        if error.errno not in _REFUSED or not path.is_file():
            raise
        with path.open("r+b") as file:
            os.fchmod(file.fileno(), stat.S_IMODE(os.fstat(file.fileno()).st_mode) & mode)
            file.truncate()
            file.write(content)
        return
    with gone_if_broken(part):
        with open(number, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
