"""Numbers of streams, as an option names them."""

import click

MOST_STREAMS = 4096


def numbers_of_streams(text: str) -> list[int]:
    """Read numbers with commas between them.

    Raises:
        click.UsageError: They are none.
    """
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1 or max(counts) > MOST_STREAMS:
        raise click.UsageError(
            f"--streams got {text!r}, expected numbers from 1 to {MOST_STREAMS} with commas between them"
        )
    return counts


def in_words(streams: int) -> str:
    """Say how many streams.

    >>> in_words(1), in_words(16)
    ('1 stream', '16 streams')
    """
    return "1 stream" if streams == 1 else f"{streams} streams"
