"""FileSource: one sound file as a source."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rtemo.api import StreamDesk
from rtemo.api.text import shown
from rtemo.io.sources.audio_file import AudioFile
from rtemo.io.sources.options import FileOptions
from rtemo.io.sources.playback import Playback


class FileSource:
    """Plays a sound file of any rate and channel count; each channel is one stream.

    Live it is paced by the clock, freewheeling it is as fast as the engine. Audio that breaks off in the middle
    is delivered as far as it goes; the streams then report a fault and end with the reason `truncated`.

    >>> from rtemo.io.sources.file import FileSource
    >>> FileSource("calls/monday.flac", channel_names=("caller", "agent")).name
    'file:monday.flac'

    Args:
        path: The file.
        call: Name of the call; the file's stem when empty.
        channel_names: Names of the channels; "0", "1" … for those not named.
        roles: Who speaks on each channel, where known.
        clock_ns: Monotonic time in ns; tests inject their own.
    """

    is_local = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        call: str = "",
        *,
        channel_names: Sequence[str] = (),
        roles: Sequence[str] = (),
        clock_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self.path = Path(path)
        self.call = call or shown(self.path.stem)
        self._channel_names = tuple(channel_names)
        self._roles = tuple(roles)
        self._clock_ns = clock_ns
        self._playback: Playback | None = None

    @classmethod
    def from_options(cls, path: str | os.PathLike[str], options: FileOptions) -> "FileSource":
        """Make a source as the configuration says."""
        return cls(path, options.call, channel_names=options.channel_names, roles=options.roles)

    @property
    def name(self) -> str:
        """Short name for logs and events."""
        return f"file:{shown(self.path.name)}"

    @property
    def duration_s(self) -> float:
        """Duration by the file's header; 0 before `open`."""
        return self._playback.audio.duration_s if self._playback else 0.0

    @property
    def done_s(self) -> float:
        """Seconds played so far."""
        return self._playback.done_s if self._playback else 0.0

    def open(self, desk: StreamDesk) -> None:
        """Open the file and a stream for each of its channels.

        Raises:
            AudioInputError: The file is missing, unreadable, empty, or not audio.
            CapacityError: The engine has no room for its channels.
        """
        audio = AudioFile(self.path)
        try:
            self._playback = Playback(audio, desk, self.call, self._channel_names, self._roles, self._clock_ns)
        except BaseException:
            audio.close()
            raise

    def pump(self) -> float | None:
        """Write what is due; see `rtemo.api.Source`."""
        return self._playback.pump() if self._playback else None

    def close(self) -> None:
        """Stop playing and close the file."""
        if self._playback:
            self._playback.close("stopped")
