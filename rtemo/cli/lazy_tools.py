"""LazyTools: `rtemo.api.Tools` whose parts are imported when they are used, so that the command line starts quickly."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtemo.api import ModelHandle, SpeechHandle, VoiceHandle
    from rtemo.runtime import ModelStore

_RATE_HZ = 16_000


class LazyTools:
    """Models, sound files, loudspeaker and microphone for verbs; see `rtemo.api.Tools`."""

    def __init__(self) -> None:
        self._store: ModelStore | None = None

    def model(self, name: str) -> "ModelHandle":
        """Load the bundle of that name."""
        return self._models.load(name)

    def speech(self, name: str) -> "SpeechHandle":
        """Load the model that writes down speech."""
        return self._models.speech(name)

    def voice(self, name: str) -> "VoiceHandle":
        """Load the model that speaks."""
        return self._models.voice(name)

    def read_audio(self, path: Path, longest_s: float = 120.0) -> "NDArray[np.float32]":
        """Read a sound file as mono at 16 kHz."""
        import numpy as np

        from rtemo.api import AudioInputError
        from rtemo.dsp.resample import PolyphaseResampler
        from rtemo.io.sources.audio_file import AudioFile

        file = AudioFile(path)
        try:
            rate_hz = file.sample_rate_hz
            convert = None if rate_hz == _RATE_HZ else PolyphaseResampler(rate_hz, _RATE_HZ)
            parts: list[NDArray[np.float32]] = []
            while (samples := file.read(rate_hz)).size:  # a second at a time: what a header says is no size to allocate
                if max(file.position_samples, file.frames) > longest_s * rate_hz:
                    long_s = max(file.position_samples, file.frames) / rate_hz
                    raise AudioInputError(
                        f"{path} is {long_s:.0f} s long, at most {longest_s:.0f} s are taken", "cut it first"
                    )
                finite = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
                mono = finite.mean(axis=0, dtype=np.float32)
                parts.append(mono if convert is None else convert.process(mono))
        finally:
            file.close()
        if not parts:
            raise AudioInputError(f"{path} contains no audio", file.truncation or "record or copy it again")
        if convert is not None:
            parts.append(convert.flush()[0])
        return np.concatenate(parts)

    def write_speech(self, path: Path, samples: "NDArray[np.float32]", facts: Mapping[str, str]) -> None:
        """Write a WAV file with the tag, whole or not at all; to a pipe or device as it is."""
        import io

        import soundfile

        from rtemo.cli.speech_tag import tag_of
        from rtemo.io.pcm import as_int16
        from rtemo.io.whole_file import write_whole

        made = io.BytesIO()
        with soundfile.SoundFile(made, "w", _RATE_HZ, 1, "PCM_16", format="WAV") as file:
            for name, text in tag_of(facts).items():
                setattr(file, name, text)
            file.write(as_int16(samples))
        write_whole(path, made.getvalue())

    def play(self, samples: "NDArray[np.float32]", device: str = "") -> None:
        """Play on a loudspeaker."""
        from rtemo.cli.playing import Player

        with Player(device) as player:
            player.put(samples)
            player.drain()

    def record(self, longest_s: float = 20.0, device: str = "") -> "NDArray[np.float32]":
        """Record one utterance from a microphone."""
        from rtemo.cli.recording import record_utterance

        return record_utterance(longest_s, device)

    def say(self, line: str) -> None:
        """Print a line for a person."""
        from rtemo.cli.main import say

        say(line)

    @property
    def _models(self) -> "ModelStore":
        if self._store is None:
            from rtemo.cli.options import load
            from rtemo.runtime import ModelStore

            self._store = ModelStore(load(None).runtime)
        return self._store
