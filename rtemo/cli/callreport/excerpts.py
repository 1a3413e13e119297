"""Excerpts: the tensest stretches of a call as sound, of those alone whom the policy lets be analysed."""

import io
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import AudioInputError, ConfigError
from rtemo.api.text import shown
from rtemo.cli.callreport.record import CallRecord, Span
from rtemo.cli.stopping import put_off
from rtemo.io.sources.audio_file import AudioFile
from rtemo.io.sources.conversion import RateConversion

SAMPLE_RATE_HZ = 16_000
_SLACK_S, _SLACK_SHARE = 5.0, 0.05  # of the length: who records begins and ends by hand
_COMPRESSION = 0.9  # of MPEG-2 layer III at 16 kHz: 24 kbit/s, at which a minute takes 180 kB


class Excerpts(NamedTuple):
    """What may be heard of a call.

    Attributes:
        sounds: Stretch → its sound as MP3, which all browsers play.
        heard: Names of the parties that are in it.
        unheard: Names of those that were left out.
        truncation: Why the recording could not be read to the end of the stretches; empty where it could.
    """

    sounds: dict[Span, bytes]
    heard: tuple[str, ...]
    unheard: tuple[str, ...]
    truncation: str = ""


def excerpts_of(record: CallRecord, path: Path, spans: Collection[Span], channel_names: Sequence[str] = ()) -> Excerpts:
    """Cut stretches out of the recording of a call.

    Args:
        record: What its events tell: who is on which channel, and who may be analysed.
        path: The recording; it begins where the call does.
        spans: The stretches.
        channel_names: Names of its channels, as the events name them; "0", "1" … for those not named.

    Raises:
        AudioInputError: It cannot be read, or its channels or its length are not those of the call.
        ConfigError: libsndfile cannot write MP3.
    """
    audio = AudioFile(path)
    try:
        names = [*channel_names, *map(str, range(len(channel_names), audio.channels))][: audio.channels]
        channels = _heard(record, names, shown(path))
        pieces = _pieces(audio, channels, spans) if channels else {}
        _check_length(record, audio, shown(path))
    finally:
        audio.close()
    parties = list(record.parties.values())
    heard = tuple(party.name for party in parties if channels and party.is_person)
    return Excerpts(
        {span: _mp3(piece) for span, piece in pieces.items() if piece.size},
        heard,
        tuple(party.name for party in parties if party.name not in heard),
        audio.truncation,
    )


def _heard(record: CallRecord, names: Sequence[str], what: str) -> list[int]:
    """Tell which channels hold nobody but people who may be analysed."""
    parties = record.parties
    if len(names) == 1 and all(party.is_estimate for party in parties.values()):
        return [0] if all(party.is_person for party in parties.values()) else []  # several people on one channel
    unknown = sorted(set(parties).difference(names))
    if unknown:
        raise AudioInputError(
            f"the channels of {what} are {_listed(names)}, and the call has {_listed(unknown)}",
            'name its recording, and the channels in their order, as --set \'sources.file.channel_names=["a", "b"]\'',
        )
    return [index for index, name in enumerate(names) if name in parties and parties[name].is_person]


def _check_length(record: CallRecord, audio: AudioFile, what: str) -> None:
    """Refuse what is longer or shorter than the call, as that of another call is: its voices are not for here."""
    call_s, sound_s = record.duration_s, audio.duration_s
    if not record.is_over or not audio.frames or abs(sound_s - call_s) <= max(_SLACK_S, _SLACK_SHARE * call_s):
        return
    while sound_s < call_s and audio.read(audio.sample_rate_hz).shape[1]:
        pass  # whether it breaks off is known at its end
    if not audio.truncation:
        raise AudioInputError(
            f"{what} is {sound_s:.0f} s long and the call {call_s:.0f} s, so it seems to be of another call",
            "name the recording of this one, or cut it to the length of the call",
        )


def _pieces(audio: AudioFile, channels: Sequence[int], spans: Collection[Span]) -> dict[Span, NDArray[np.float32]]:
    """Read on to the end of the last stretch and keep the stretches, mixed: float32 [samples] at the file's rate."""
    rate_hz = audio.sample_rate_hz
    pieces: dict[Span, list[NDArray[np.float32]]] = {span: [] for span in sorted(spans)}
    end_s = max((span.end_s for span in pieces), default=0.0)
    while (since := audio.position_samples) < end_s * rate_hz:
        block = audio.read(rate_hz)
        if not block.shape[1]:
            break
        mixed = np.nan_to_num(block[channels], nan=0.0, posinf=0.0, neginf=0.0).sum(axis=0)
        for span, kept in pieces.items():
            begin, end = (max(0, round(at_s * rate_hz) - since) for at_s in span)
            kept.append(mixed[begin:end])
    return {span: _converted(np.concatenate(kept), rate_hz) for span, kept in pieces.items() if kept}


def _converted(samples: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    conversion = RateConversion(rate_hz, SAMPLE_RATE_HZ, 1)
    converted = np.concatenate((conversion.process(samples[None]), conversion.flush()), axis=1)[0]
    peak = max(1.0, float(np.abs(converted).max(initial=0.0)))  # of several who speak at once
    scaled: NDArray[np.float32] = converted / np.float32(peak)
    return scaled


def _mp3(samples: NDArray[np.float32]) -> bytes:
    import soundfile

    if "MP3" not in soundfile.available_formats():
        version = soundfile.__libsndfile_version__
        raise ConfigError(f"libsndfile {version} writes no MP3", "install 1.1 or newer: pip install -U soundfile")
    written = io.BytesIO()
    with (
        put_off(),
        soundfile.SoundFile(
            written,
            "w",
            SAMPLE_RATE_HZ,
            1,
            "MPEG_LAYER_III",
            format="MP3",
            compression_level=_COMPRESSION,
            bitrate_mode="CONSTANT",
        ) as file,
    ):
        file.write(samples)
    return written.getvalue()


def _listed(names: Sequence[str]) -> str:
    return ", ".join(shown(name) for name in names)
