"""VadOptions: what a user may set about voice activity."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

# Bounds stand beside the type they belong to: on "a number or nothing" msgspec refuses them.
_Probability = Annotated[float, Meta(ge=0, le=1)]
_Time = Annotated[float, Meta(gt=0, le=2000)]
_Pad = Annotated[float, Meta(ge=-200, le=1000)]


class VadOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of voice activity detection; a null takes the value tuned for the back end."""

    back_end: Annotated[
        Literal["silero", "webrtc"],
        Meta(
            description="silero: a network, hears faint speech and no music; webrtc: lighter, weak in noise and at low "
            "level, needs the package webrtcvad-wheels."
        ),
    ] = "silero"
    aggressiveness: Annotated[
        int, Meta(ge=0, le=3, description="How readily webrtc calls a hop noise, 0 to 3; silero has no such setting.")
    ] = 3
    silence_dbfs: Annotated[
        float, Meta(le=0, description="Audio below this level is silence without asking the back end, in dBFS.")
    ] = -90.0
    start_probability: Annotated[
        _Probability | None,
        Meta(description="Probability from which a hop may begin or resume speech."),
    ] = None
    stop_probability: Annotated[
        _Probability | None, Meta(description="Probability below which a hop may end speech.")
    ] = None
    min_speech_ms: Annotated[
        _Time | None,
        Meta(description="Voiced time before speech has started; short words need little."),
    ] = None
    hangover_ms: Annotated[
        float, Meta(gt=0, le=10_000, description="Time without voice after which speech has ended, in ms.")
    ] = 400.0
    onset_pad_ms: Annotated[
        _Pad | None,
        Meta(description="How far before the first voiced hop speech starts, in ms."),
    ] = None
    offset_pad_ms: Annotated[
        _Pad | None,
        Meta(description="How far after the last voiced hop speech ends, in ms."),
    ] = None
    max_speech_s: Annotated[
        float, Meta(ge=0, description="Longest stretch of speech, in s, before it is cut in two; 0 for no limit.")
    ] = 0.0
    forget_s: Annotated[
        float, Meta(gt=0, description="Silence after which silero's memory of the stream is cleared, in s.")
    ] = 10.0
    no_speech_s: Annotated[
        float, Meta(gt=0, le=3600, description="Sound without speech after which that is reported, in s.")
    ] = 10.0
