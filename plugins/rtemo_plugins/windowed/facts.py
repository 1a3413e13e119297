"""Facts: what a card says about a model of windows, checked and completed."""

from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api import EMOTIONS, ModelCard, ModelError, StreamFormat, TensorSpec, emotion_of
from rtemo_plugins.windowed.options import WindowedOptions

LENGTH, MASK = "length", "mask"
_LENGTH_TYPES = ("int64", "int32", "float32")
_MASK_TYPES = ("bool", *_LENGTH_TYPES)
_CHOOSE = "correct its card, or choose another `bundle` for the windowed plugin; docs/own-model.md tells the form"


class FrontEndFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`front_end` of the card: what the graph is fed with."""

    kind: Literal["waveform", "logmel"]
    window_s: float | None = None
    """Longest window; what the input holds where it is not stated."""
    stride_s: float = 1.0
    normalise: Literal["none", "window", "bands", "fixed"] = "none"
    """`window`: mean 0 and deviation 1 over the window; `bands`: of each band over time; `fixed`: by the two below."""
    mean: float = 0.0
    deviation: float = 1.0
    pad: Literal["silence", "repeat"] = "silence"
    """What follows a window that is too short."""
    layout: Literal["", "time_band", "band_time"] = ""
    """Order of the axes of log-mels, where the shape leaves it open."""
    frame_samples: int = 400
    frame_hop_samples: int = 160
    fft_samples: int = 512
    mel_count: int = 64
    low_hz: float = 60.0
    high_hz: float = 7_600.0
    floor: float = 1e-10


class Facts(NamedTuple):
    """A model of windows."""

    card: ModelCard
    front_end: FrontEndFacts
    source: str
    """Input that takes audio."""
    steps: int
    """Samples or frames that it takes."""
    is_time_first: bool
    window_s: float
    stride_s: float
    scores: str
    """Output that tells the labels apart, `logits` or `probabilities`; empty when there is none."""
    to_emotions: NDArray[np.float32]
    """float32 [labels, 8], 1 where a label means an emotion."""
    unsure_below: float


def read_facts(card: ModelCard, options: WindowedOptions, format: StreamFormat) -> Facts:
    """Read and check all that is needed to run a model of windows.

    Raises:
        ModelError: The card contradicts itself, the engine or the options.
    """
    try:
        front_end = msgspec.convert(card.front_end, FrontEndFacts)
    except msgspec.ValidationError as error:
        raise _wrong(card, f"has a `front_end` that is not understood ({error})") from error
    if card.sample_rate_hz != format.sample_rate_hz:
        raise _wrong(card, f"takes audio at {card.sample_rate_hz} Hz, the engine gives {format.sample_rate_hz} Hz")
    if card.states:
        raise _wrong(card, f"carries state ({', '.join(card.states)}), expected a model of single windows")
    if front_end.normalise == "bands" and front_end.kind == "waveform":
        raise _wrong(card, "normalises bands, but takes a waveform")
    if not front_end.deviation > 0:
        raise _wrong(card, f"has the deviation {front_end.deviation:g}, expected more than 0")
    source = _source_of(card)
    steps, is_time_first = _steps_of(card, card.inputs[source], front_end)
    step_samples = 1 if front_end.kind == "waveform" else front_end.frame_hop_samples
    holds_s = steps * step_samples / card.sample_rate_hz
    window_s = options.window_s or front_end.window_s or holds_s
    if window_s > holds_s + 1e-6:
        raise _wrong(card, f"holds {holds_s:g} s of audio, but windows of {window_s:g} s are asked for")
    if window_s < options.least_s:
        raise _wrong(card, f"hears {window_s:g} s at once, but `least_s` asks for {options.least_s:g} s of speech")
    scores, to_emotions = _labels_of(card, options)
    threshold = card.calibration.get("unsure_below", 0.0) if options.unsure_below is None else options.unsure_below
    return Facts(
        card, front_end, source, steps, is_time_first, window_s, options.stride_s or front_end.stride_s, scores,
        to_emotions, threshold,
    )  # fmt: skip


def _source_of(card: ModelCard) -> str:
    rest = [name for name in card.inputs if name not in (LENGTH, MASK)]
    if len(rest) != 1:
        named = ", ".join(rest) or "none"
        raise _wrong(card, f"must have one input besides `{LENGTH}` and `{MASK}` ({named} found)")
    if card.inputs[rest[0]].dtype != "float32":
        raise _wrong(card, f"takes {rest[0]!r} as {card.inputs[rest[0]].dtype}, expected float32")
    for name, types in ((LENGTH, _LENGTH_TYPES), (MASK, _MASK_TYPES)):
        if name in card.inputs and card.inputs[name].dtype not in types:
            raise _wrong(card, f"takes `{name}` as {card.inputs[name].dtype}, expected one of {', '.join(types)}")
    return rest[0]


def _steps_of(card: ModelCard, spec: TensorSpec, front_end: FrontEndFacts) -> tuple[int, bool]:
    """Samples or frames that the input takes, and whether time is the first of the two axes of log-mels."""
    sizes = [size for size in spec.shape if size != 1]
    steps, is_time_first = sizes[0] if sizes else 0, True
    if front_end.kind == "waveform":
        if len(sizes) != 1:
            raise _wrong(card, f"takes a waveform of shape {list(spec.shape)}, expected [samples]")
    else:
        bands = front_end.mel_count
        if len(sizes) != 2 or bands not in sizes:
            raise _wrong(card, f"takes log-mels of shape {list(spec.shape)}, expected [frames, {bands}] or its reverse")
        is_time_first = front_end.layout == "time_band" if sizes[0] == sizes[1] else sizes[1] == bands
        if sizes[0] == sizes[1] and not front_end.layout:
            raise _wrong(card, f"takes log-mels of shape {list(spec.shape)}: say which axis is time in `layout`")
        if front_end.layout and is_time_first != (front_end.layout == "time_band"):
            raise _wrong(card, f"says {front_end.layout}, but takes log-mels of shape {list(spec.shape)}")
        steps = sizes[0] if is_time_first else sizes[1]
    for name in (LENGTH, MASK):
        if name in card.inputs:
            given, wanted = card.inputs[name].shape, {LENGTH: ((), (1,)), MASK: ((steps,),)}[name]
            if given not in wanted:
                raise _wrong(card, f"takes `{name}` of shape {list(given)}, expected {list(wanted[0])}")
    return steps, is_time_first


def _labels_of(card: ModelCard, options: WindowedOptions) -> tuple[str, NDArray[np.float32]]:
    """Output with the labels, and what each of them means."""
    outputs = card.outputs
    found = [name for name in ("logits", "probabilities") if name in outputs]
    has_dimension = {"arousal", "valence"} & {*outputs, *(card.dimensions if "vector" in outputs else ())}
    if not found and has_dimension != {"arousal", "valence"}:
        raise _wrong(card, "gives neither `logits` nor `probabilities`, nor both of `arousal` and `valence`")
    if "vector" in outputs and outputs["vector"].shape != (len(card.dimensions),):
        raise _wrong(card, f"gives a `vector` of {list(outputs['vector'].shape)} for {len(card.dimensions)} dimensions")
    for name in ("arousal", "valence"):
        if name in outputs and outputs[name].shape not in ((), (1,)):
            raise _wrong(card, f"gives `{name}` of shape {list(outputs[name].shape)}, expected one number")
    to_emotions = np.zeros((len(card.labels), len(EMOTIONS)), np.float32)
    if not found:
        return "", to_emotions
    if outputs[found[0]].shape != (len(card.labels),):
        raise _wrong(card, f"gives {found[0]} of shape {list(outputs[found[0]].shape)} for {len(card.labels)} labels")
    mapping = {**card.emotions, **options.labels}
    for name in mapping.keys() - set(card.labels):
        raise _wrong(card, f"has no label {name!r} (it has {', '.join(card.labels)})")
    for index, label in enumerate(card.labels):
        emotion = emotion_of(label, mapping)
        if emotion is None:
            wrong = f"means {mapping[label]!r} by it, which" if label in mapping else "has a label that"
            raise ModelError(
                f"bundle {card.name!r}, label {label!r}: it {wrong} is none of {', '.join(EMOTIONS)}",
                f"say what it means in plugins.windowed.labels.{label}, or nothing ('') to leave it out",
            )
        if emotion:
            to_emotions[index, EMOTIONS.index(emotion)] = 1.0
    if not to_emotions.any():
        raise _wrong(card, "leaves out all of its labels")
    return found[0], to_emotions


def _wrong(card: ModelCard, problem: str) -> ModelError:
    return ModelError(f"bundle {card.name!r} does not fit the windowed plugin: it {problem}", _CHOOSE)
