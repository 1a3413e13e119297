"""RationaleOptions: what a user may set about rationales."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class RationaleOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the rationale plugin."""

    language: Annotated[Literal["en", "de", "fr", "es", "pl"], Meta(description="Language to write in.")] = "en"
    least_s: Annotated[
        float, Meta(ge=0.2, le=10, description="Least speech of a turn that is worth a rationale, in s.")
    ] = 0.5
    most_cues: Annotated[int, Meta(ge=1, le=6, description="So many cues are told at most.")] = 3
    on_change: Annotated[bool, Meta(description="Write within a turn too, when its emotion changes.")] = True
    cite_words: Annotated[bool, Meta(description="Quote words of the transcript, where there is one.")] = True
    teacher_url: Annotated[
        str,
        Meta(
            description="Endpoint in the form of OpenAI's chat completions that rewrites rationales, as "
            "http://127.0.0.1:8080/v1; empty for none. Their text is sent there, words of the transcript among it."
        ),
    ] = ""
    teacher_model: Annotated[str, Meta(description="Model to ask for there.")] = "default"
    teacher_key_variable: Annotated[
        str, Meta(description="Environment variable that holds the key of the endpoint; empty for none.")
    ] = ""
    teacher_timeout_s: Annotated[float, Meta(gt=0, le=60, description="Time to wait for an answer, in s.")] = 5.0
    patience_s: Annotated[
        float,
        Meta(ge=0, le=30, description="Time after a turn to wait for its final emotion and transcript, in s."),
    ] = 2.0
