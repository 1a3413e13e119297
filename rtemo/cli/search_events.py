"""Moments in stored events that are like a description: by their scores, or by the words that were said."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rtemo.api import ConfigError, QueryScore, RtemoError, Transcript, kind_of
from rtemo.api.text import shown
from rtemo.cli.moment import Moment
from rtemo.io.recorded import recorded

if TYPE_CHECKING:
    from rtemo.config import Config

_KINDS = (kind_of(QueryScore), kind_of(Transcript))
_USUAL_ENCODER = "minilm"


def moments_in(config: "Config", path: Path, query: str) -> list[Moment]:
    """Give the turns of a file of events, with what each scores.

    The final scores of the same query are taken as they stand, so that they are as comparable as those of audio. Where
    there are none the text of each final transcript is held against the query: the cosine of the two sentences, less
    that to the opposite where the query has one.

    Args:
        config: Where a plugin has a `sentence_bundle`, that is the encoder of sentences.
        path: A store, or a file of lines.
        query: With single spaces, as the plugin tells it.

    Raises:
        RtemoError: The file cannot be read, or holds neither; or there is no encoder.
    """
    scored: list[Moment] = []
    said: dict[Moment, str] = {}
    if not path.is_file():
        raise RtemoError(f"there is no file {shown(path)}", "correct the path")
    for event in recorded(path, kinds=_KINDS):
        place = Moment(0.0, event.call, event.channel, event.t0_ms / 1000, event.t1_ms / 1000, path)
        if isinstance(event.data, QueryScore):
            if event.data.is_final and event.data.query == query:
                scored.append(place._replace(score=event.data.score))
        elif isinstance(event.data, Transcript) and event.data.is_final and event.data.text:
            said[place] = event.data.text
    if scored:
        return scored
    if not said:
        raise RtemoError(
            f"{shown(path)} holds no final transcript, and no score of this query",
            "record calls with --words, or with --text and the same query",
        )
    scores = _scores(config, list(said.values()), query)
    return [place._replace(score=score) for place, score in zip(said, scores, strict=True)]


def _scores(config: "Config", texts: Sequence[str], query: str) -> list[float]:
    """How near each text is to the query."""
    from rtemo.runtime.store import ModelStore

    wanted, _, opposite = query.partition(" | ")
    if not wanted or query.count("|") > 1:
        raise ConfigError(f"the query {query[:40]!r} describes nothing", "write it as 'tense', or 'tense | relaxed'")
    named = (options["sentence_bundle"] for options in config.plugins.values() if "sentence_bundle" in options)
    encoder = ModelStore().sentence(next(named, _USUAL_ENCODER))
    points = encoder.embed([wanted, opposite] if opposite else [wanted])
    direction = points[0] - points[1] if opposite else points[0]
    return [float(score) for score in np.asarray(encoder.embed(list(texts)) @ direction)]
