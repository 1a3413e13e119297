"""Sound of a corpus, whole or not at all and readable by its owner alone, and a folder that one program holds."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from rtemo.api import ConfigError
from rtemo.io.pcm import as_int16
from rtemo.io.whole_file import gone_if_broken, part_of


def write_samples(path: Path, samples: NDArray[np.float32], rate_hz: int) -> None:
    """Write a WAV file of 16 bits, mode 0600; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(path)
    part.unlink(missing_ok=True)
    with gone_if_broken(part):
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with part.open("r+b") as file:
            soundfile.write(file, as_int16(samples), rate_hz, "PCM_16", format="WAV")
            file.flush()
            os.fsync(file.fileno())  # a ledger that tells of it is on disk for good, and so must it be
        os.replace(part, path)


@contextlib.contextmanager
def only_one(folder: Path, what: str) -> Iterator[None]:
    """Hold a folder for one program; the system lets go of it however the program ends.

    Raises:
        ConfigError: Another program holds it.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        import fcntl
    except ImportError:  # Windows: nobody looks there
        yield
        return
    with (folder / f".{what}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(
                f"another program is working on the {what} of {folder}", "wait until it is done, or stop it"
            ) from None
        yield
