"""TranscriptOptions: the settings of the transcript plugin."""

from typing import Annotated

import msgspec
from msgspec import Meta


class TranscriptOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When text is told, in which language, what is left out of it, and which model writes."""

    bundle: Annotated[str, Meta(description="Name of the speech model that writes, or path of its folder.")] = (
        "whisper-base"
    )
    language: Annotated[
        str,
        Meta(
            max_length=8,
            description="Code of the language that is spoken, as en; empty: found in every turn, and kept for the "
            "stream once it is sure.",
        ),
    ] = ""
    partial: Annotated[
        bool, Meta(description="Whether text is told while a turn goes on; without it only at its end, at less cost.")
    ] = True
    stride_s: Annotated[float, Meta(ge=0.5, le=10, description="Time between two texts of a turn, in s.")] = 1.5
    first_s: Annotated[float, Meta(gt=0, le=10, description="Time of a turn before its first text, in s.")] = 1.0
    least_s: Annotated[float, Meta(ge=0.1, le=5, description="Turns shorter than this are not written down, in s.")] = (
        0.25
    )
    redact: Annotated[bool, Meta(description="Whether digits, and numbers read out digit by digit, become #.")] = True
    hot_words: Annotated[
        tuple[str, ...],
        Meta(max_length=64, description="Names and terms that may be said, so that they are spelled as they are here."),
    ] = ()
    language_sure: Annotated[
        float, Meta(ge=0, le=1, description="Probability from which a language is kept for the rest of the stream.")
    ] = 0.9
    no_speech_above: Annotated[
        float,
        Meta(ge=0, le=1, description="Probability that nobody spoke from which doubtful text is held back."),
    ] = 0.6
    log_probability_below: Annotated[
        float,
        Meta(le=0, description="Mean logarithm of the probability of each sign below which text is held back."),
    ] = -1.0
    compression_above: Annotated[
        float,
        Meta(
            gt=1,
            description="Bytes of a text over its bytes compressed above which it repeats itself, and is held back.",
        ),
    ] = 2.4
    trim_s: Annotated[
        float,
        Meta(ge=4, le=24, description="Length of a turn from which what is stable is not listened to again, in s."),
    ] = 12.0
    max_batch: Annotated[int, Meta(ge=1, le=64, description="Turns of all streams written down at once.")] = 4
    max_age_s: Annotated[
        float, Meta(gt=0, le=30, description="A window that waited longer is dropped and counted, in s.")
    ] = 10.0
