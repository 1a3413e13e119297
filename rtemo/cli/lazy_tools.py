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
        from rtemo.dsp.resample import resample
        from rtemo.io.sources.audio_file import AudioFile

        file = AudioFile(path)
        try:
            if file.duration_s > longest_s:
                raise AudioInputError(
                    f"{path} is {file.duration_s:.0f} s long, at most {longest_s:.0f} s are taken", "cut it first"
                )
            samples = file.read(round(longest_s * file.sample_rate_hz) + 1)
        finally:
            file.close()
        mono = np.nan_to_num(samples.mean(axis=0), posinf=0.0, neginf=0.0).astype(np.float32)
        if not mono.size:
            raise AudioInputError(f"{path} contains no audio", file.truncation or "record or copy it again")
        return mono if file.sample_rate_hz == _RATE_HZ else resample(mono, file.sample_rate_hz, _RATE_HZ)

    def write_speech(self, path: Path, samples: "NDArray[np.float32]", facts: Mapping[str, str]) -> None:
        """Write a WAV file with the tag."""
        from rtemo.cli.speech_tag import tag_of
        from rtemo.cli.wave_file import WaveFile

        file = WaveFile(path, _RATE_HZ, tags=tag_of(facts))
        try:
            file.write(samples[:, None])
            file.finish()
        except BaseException:
            file.abandon()
            raise

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
