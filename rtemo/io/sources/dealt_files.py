"""DealtFiles: sound files that are named one after the other, while others play."""

from collections.abc import Callable, Sequence

from rtemo.io.sources.files import FileFailure, FilesSource, WaitingFile

_IDLE_S = 0.01


class DealtFiles(FilesSource):
    """Plays every file as soon as it is dealt, and waits for more until it is told that there are none.

    Args:
        parallel: Streams held open at once; a file with more channels than that is played alone.
        channel_names: Names of the channels; "0", "1" … for those not named.
        roles: Who speaks on each channel, where known.
        on_failure: Called on the source's thread for every file that fails.
        on_remark: Called on the source's thread with one sentence about a file that is read although it is odd.
    """

    def __init__(
        self,
        parallel: int,
        *,
        channel_names: Sequence[str] = (),
        roles: Sequence[str] = (),
        on_failure: Callable[[FileFailure], None] | None = None,
        on_remark: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(
            (),
            parallel,
            channel_names=channel_names,
            roles=roles,
            on_failure=on_failure,
            on_remark=on_remark,
        )
        self._are_all_dealt = False

    def look(self) -> tuple[WaitingFile, ...]:
        """Give nothing: who deals the files has looked at them."""
        return ()

    def deal(self, file: WaitingFile) -> None:
        """Have a file played after those dealt before; any thread."""
        self._durations_s[file.path] = file.duration_s
        self._files_total += 1
        self._queue.insert(0, file)

    def finish(self) -> None:
        """Say that no more files will be dealt; any thread."""
        self._are_all_dealt = True

    def pump(self) -> float | None:
        """Play; see `rtemo.api.Source`."""
        is_finished = self._are_all_dealt  # before the look whether anything is left
        wait_s = super().pump()
        return _IDLE_S if wait_s is None and not is_finished else wait_s
