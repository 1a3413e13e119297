"""Tools: what the command line lends to verbs that other packages bring."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtemo.api.model import ModelHandle
from rtemo.api.speech import SpeechHandle
from rtemo.api.voice import VoiceHandle


class Tools(Protocol):
    """Models by the names of their bundles, and sound files, for a verb of the entry point group `rtemo.verbs`.

    The entry point names a module whose attribute `command` is a click command; `click.pass_obj` hands it this.
    """

    def model(self, name: str) -> ModelHandle:
        """Load the bundle of that name, checked, or raise `ModelError`."""

    def speech(self, name: str) -> SpeechHandle:
        """Load the model that writes down speech, checked, or raise `ModelError`."""

    def voice(self, name: str) -> VoiceHandle:
        """Load the model that speaks, checked, or raise `ModelError`."""

    def read_audio(self, path: Path, longest_s: float = 120.0) -> NDArray[np.float32]:
        """Read a sound file, its channels mixed, float32 [k] at 16 kHz.

        Raises:
            AudioInputError: It cannot be read, or is longer than `longest_s`.
        """

    def write_speech(self, path: Path, samples: NDArray[np.float32], facts: Mapping[str, str]) -> None:
        """Write a WAV file, float32 [k] at 16 kHz, with the tag that says that it is synthetic and by what.

        Args:
            path: Its place; it gets there whole or not at all.
            samples: With the watermark, which whoever made them has added.
            facts: What goes into the tag besides: the voice, who consented.
        """

    def play(self, samples: NDArray[np.float32], device: str = "") -> None:
        """Play float32 [k] at 16 kHz on a loudspeaker, and return when it has been heard."""

    def record(self, longest_s: float = 20.0, device: str = "") -> NDArray[np.float32]:
        """Record one utterance from a microphone, from its first word to the silence after it, float32 [k] at 16 kHz.

        Raises:
            AudioInputError: Nobody spoke.
            DeviceError: There is no such microphone.
        """

    def say(self, line: str) -> None:
        """Print a line for a person on standard error."""
