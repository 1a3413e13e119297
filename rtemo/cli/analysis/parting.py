"""Parting: two channels of a file that has one, where two people share it."""

import io

import numpy as np
from numpy.typing import NDArray

from rtemo.api import AudioInputError
from rtemo.corpus.models import CorpusModels
from rtemo.corpus.parties import PartyFinder, channels_of
from rtemo.corpus.settings import RATE_HZ
from rtemo.dsp.resample import PolyphaseResampler
from rtemo.io.sources.audio_file import AudioFile
from rtemo.runtime.options import RuntimeOptions

LEAST_MARGIN = 0.02
"""What is less sure is given to neither; `python -m bench.quality.corpus.parties` prints what others would do."""

_BLOCK_S = 60.0
_MOST_S = 4 * 3600.0


class Parting:
    """Puts a file in the place of one with a single channel: a channel for each party, by their voices.

    The file is read whole, and what it becomes is held in memory, not on disk.

    Args:
        options: What runs the networks.
    """

    def __init__(self, options: RuntimeOptions) -> None:
        self._models = CorpusModels(options)
        self._finder: PartyFinder | None = None

    def __call__(self, audio: AudioFile) -> AudioFile:
        """Read an open file to its end, close it, and give what takes its place; several channels stay as they are.

        Raises:
            AudioInputError: It is too long to be held.
            ModelError: A network is missing.
        """
        if audio.channels != 1:
            return audio
        import soundfile

        if self._finder is None:
            self._finder = PartyFinder(self._models.finder, self._models.embedder, LEAST_MARGIN)
        try:
            samples = _read(audio)
        finally:
            audio.close()
        out = io.BytesIO()
        parted = channels_of(samples, self._finder.tell(samples).pieces)
        soundfile.write(out, parted.T, RATE_HZ, "PCM_16", format="WAV")
        made = AudioFile(audio.path, out.getvalue())
        made.truncation, made.bad_samples, made.remark = audio.truncation, audio.bad_samples, audio.remark
        return made


def _read(audio: AudioFile) -> NDArray[np.float32]:
    """Read everything, float32 [k] at `RATE_HZ`."""
    resampler = None if audio.sample_rate_hz == RATE_HZ else PolyphaseResampler(audio.sample_rate_hz, RATE_HZ)
    count_samples = round(_BLOCK_S * audio.sample_rate_hz)
    parts: list[NDArray[np.float32]] = []
    while (block := audio.read(count_samples)).shape[1]:
        if audio.position_samples > _MOST_S * audio.sample_rate_hz:
            raise AudioInputError(
                f"is longer than {_MOST_S / 3600:g} h, and telling two voices apart holds all of it in memory",
                "cut it into parts",
            )
        mono = np.nan_to_num(block[0], copy=False, posinf=0.0, neginf=0.0)
        parts.append(mono if resampler is None else resampler.process(mono[None, :])[0])
    if resampler is not None:
        parts.append(resampler.flush()[0])
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
