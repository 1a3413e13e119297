"""Codec round trips: audio through the encoders and decoders of libsndfile, in memory and back at 16 kHz.

These are the real codecs, not models of them: Opus and Vorbis and MP3 for calls over the internet and for recordings,
G.711, G.721, G.723, GSM 06.10 and ADPCM for the telephone and for dictation. Every one gives the audio back at the
time it had (libsndfile takes a codec's delay off), which a test measures.
"""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtemo_models.kit.audio.cache import SAMPLE_RATE_HZ
from rtemo_models.kit.audio.resample import resampled


@dataclass(frozen=True, slots=True)
class Codec:
    """How libsndfile writes one codec.

    Attributes:
        container: Format of the file.
        coding: Subtype of the file.
        rate_hz: Rate it runs at, 8000 for the narrow band of telephones.
        levels: Range of compression levels to draw from, 0 the best quality; None where the rate is fixed.
        block_samples: It takes whole multiples of so many alone.
    """

    container: str
    coding: str
    rate_hz: int
    levels: tuple[float, float] | None = None
    block_samples: int = 1


CODECS = {
    "opus": Codec("OGG", "OPUS", 16_000, (0.88, 1.0)),  # about 36 to 9 kbit/s
    "opus-narrow": Codec("OGG", "OPUS", 8_000, (0.95, 1.0)),
    "vorbis": Codec("OGG", "VORBIS", 16_000, (0.5, 1.0)),
    "mp3": Codec("MP3", "MPEG_LAYER_III", 16_000, (0.6, 0.99)),
    "mu-law": Codec("WAV", "ULAW", 8_000),
    "a-law": Codec("WAV", "ALAW", 8_000),
    "gsm": Codec("WAV", "GSM610", 8_000),  # 13 kbit/s full rate
    "g721": Codec("AU", "G721_32", 8_000),
    "g723-24": Codec("AU", "G723_24", 8_000),
    "g723-40": Codec("AU", "G723_40", 8_000),
    "ima-adpcm": Codec("WAV", "IMA_ADPCM", 8_000),
    "ms-adpcm": Codec("WAV", "MS_ADPCM", 16_000),
    "vox-adpcm": Codec("RAW", "VOX_ADPCM", 8_000, block_samples=2),  # two in a byte
    "nms-adpcm": Codec("WAV", "NMS_ADPCM_16", 8_000),  # 2 bits per sample: the roughest
}
"""Name → codec."""


def codec_round_trip(samples: NDArray[np.float32], name: str, level: float | None = None) -> NDArray[np.float32]:
    """Encode and decode a clip.

    Args:
        samples: float32 [samples] at 16 kHz; clipped to [-1, 1], as a sound card would. NaN becomes silence: an
            encoder may end the process over it.
        name: A key of `CODECS`.
        level: Compression level in [0, 1]; the middle of the codec's range by default. Ignored at a fixed rate.

    Returns:
        float32 [samples], as long as the input and at the same time.

    Raises:
        KeyError: If the codec is unknown.
    """
    import soundfile

    codec = CODECS[name]
    if not len(samples):
        return np.zeros(0, np.float32)
    clipped = np.clip(np.nan_to_num(samples, nan=0.0), -1, 1)
    sent = clipped if codec.rate_hz == SAMPLE_RATE_HZ else halved(clipped)
    coded = fitted(sent, -(-len(sent) // codec.block_samples) * codec.block_samples)
    buffer = io.BytesIO()
    settings: dict[str, float] = {}
    if codec.levels is not None:
        settings["compression_level"] = sum(codec.levels) / 2 if level is None else level
    soundfile.write(buffer, coded, codec.rate_hz, codec.coding, format=codec.container, **settings)
    buffer.seek(0)
    # A file without a header must be told what it holds; one with a header must not.
    raw = {"format": "RAW", "subtype": codec.coding, "samplerate": codec.rate_hz, "channels": 1}
    heard, _ = soundfile.read(buffer, dtype="float32", **(raw if codec.container == "RAW" else {}))
    heard = fitted(heard, len(sent))
    return heard if codec.rate_hz == SAMPLE_RATE_HZ else fitted(doubled(heard), len(samples))


def halved(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """16 kHz to 8 kHz, without delay."""
    return np.clip(resampled(samples, 1, 2), -1, 1)


def doubled(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """8 kHz to 16 kHz, without delay."""
    return resampled(samples, 2, 1)


def fitted(samples: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Cut, or lengthened with silence, to `count` samples: block codecs pad the last block."""
    return np.pad(samples[:count], (0, max(0, count - len(samples))))
