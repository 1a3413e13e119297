"""The tag in a sound file that says that it is synthetic, and by what it was made."""

from collections.abc import Mapping
from pathlib import Path

SYNTHETIC = "synthetic speech"
"""What the comment of such a file begins with."""


def tag_of(facts: Mapping[str, str]) -> dict[str, str]:
    """Make the fields of a file's header (comment and software) from facts, as the voice and who consented."""
    import rtemo
    from rtemo.api.text import plain

    told = "; ".join(f"{name}: {plain(value, 200)}" for name, value in facts.items() if value)
    return {"comment": f"{SYNTHETIC}; {told}" if told else SYNTHETIC, "software": f"rtemo {rtemo.__version__}"}


def read_tag(path: Path) -> str:
    """Read the comment of a sound file if it says that it is synthetic; empty otherwise."""
    import soundfile

    from rtemo.api.text import plain
    from rtemo.io.sources.audio_file import file_name

    try:
        with soundfile.SoundFile(file_name(path)) as file:
            comment = plain(file.comment or "", 1000)
    except (OSError, RuntimeError):
        return ""
    return comment if comment.startswith(SYNTHETIC) else ""
