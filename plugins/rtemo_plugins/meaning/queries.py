"""Queries: what is asked for, checked, and turned into directions in the space of voices."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import ConfigError

MOST_QUERIES = 32
MOST_CHARS = 300
PLAIN = (
    "someone speaking plainly, without any emotion",
    "a matter-of-fact voice with moderate energy",
    "a person who sounds neutral",
)
"""What a query without an opposite is held against: a score is a difference, since all cosines drift together."""


class Query(NamedTuple):
    """One query.

    Attributes:
        text: As it was asked.
        wanted: Its description.
        opposites: What it is held against.
    """

    text: str
    wanted: str
    opposites: tuple[str, ...]


def read_queries(texts: Sequence[str]) -> list[Query]:
    """Check queries.

    Raises:
        ConfigError: One is empty, too long, asked twice or not readable, or there are too many.
    """
    if len(texts) > MOST_QUERIES:
        raise ConfigError(f"{len(texts)} queries were given, at most {MOST_QUERIES} are looked for", "leave some out")
    queries: list[Query] = []
    for text in texts:
        parts = [" ".join(part.split()) for part in text.split("|")]
        if not parts[0] or len(parts) > 2 or (len(parts) == 2 and not parts[1]):
            raise ConfigError(
                f"the query {text[:40]!r} describes no voice",
                "write how it sounds, as 'someone losing patience', or with its opposite: 'tense | relaxed'",
            )
        if len(text) > MOST_CHARS:
            raise ConfigError(
                f"the query that begins with {text[:40]!r} has {len(text)} characters, at most {MOST_CHARS} are read",
                "say it in one sentence",
            )
        if not all(part.isprintable() for part in parts):
            raise ConfigError(f"the query {text[:40]!r} holds signs that cannot be read", "take them out")
        query = Query(" | ".join(parts), parts[0], tuple(parts[1:]) or PLAIN)
        if query.text not in (one.text for one in queries):
            queries.append(query)
    return queries


def directions(
    queries: Sequence[Query], project: Callable[[Sequence[str]], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """Give float32 [n, width], so that the product with a voice is the score: the query less its opposites.

    Args:
        queries: At least one.
        project: Texts → their points in the space, float32 [k, width].
    """
    rows = []
    for query in queries:
        points = project([query.wanted, *query.opposites])
        rows.append(points[0] - points[1:].mean(0))
    return np.stack(rows)
