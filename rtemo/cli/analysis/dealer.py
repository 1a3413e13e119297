"""Dealer: which worker gets which file, and what becomes of the files of one that died."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from rtemo.io.sources.files import WaitingFile


@dataclass
class _Hand:
    """What a worker holds."""

    files: dict[str, WaitingFile] = field(default_factory=dict)
    is_testing: bool = False

    @property
    def channels(self) -> int:
        return sum(file.channels for file in self.files.values())

    @property
    def work_s(self) -> float:
        return sum(_work_s(file) for file in self.files.values())


class Dealer:
    """Hands files out, the longest first, to the worker that has least to do, as far as it has room.

    A file whose worker died is dealt once more when all others are, alone, so that it is known whose fault it was.

    Args:
        files: What there is to do.
        jobs: Channels that a worker takes at once; a file with more of them is played alone.
    """

    def __init__(self, files: Sequence[WaitingFile], jobs: int) -> None:
        self._jobs = jobs
        self._waiting = deque(sorted(files, key=_work_s, reverse=True))
        self._suspects: deque[WaitingFile] = deque()
        self._hands: dict[int, _Hand] = {}

    @property
    def is_over(self) -> bool:
        """Whether every file is done or has failed."""
        return not self.has_more and not any(hand.files for hand in self._hands.values())

    @property
    def has_more(self) -> bool:
        """Whether files wait to be dealt."""
        return bool(self._waiting or self._suspects)

    def join(self, worker: int) -> None:
        """Let a worker have files from now on."""
        self._hands[worker] = _Hand()

    def deal(self) -> list[tuple[int, WaitingFile]]:
        """Hand out what there is room for: (worker, file), in order."""
        dealt: list[tuple[int, WaitingFile]] = []
        while self._waiting:
            file = self._waiting[0]
            able = [worker for worker, hand in self._hands.items() if self._has_room(hand, file)]
            if not able:
                break
            worker = min(able, key=lambda number: self._hands[number].work_s)
            dealt.append((worker, self._waiting.popleft()))
            self._hands[worker].files[file.call] = file
        if not self._waiting:
            for worker, hand in self._hands.items():
                if self._suspects and not hand.files:
                    file = self._suspects.popleft()
                    hand.files[file.call] = file
                    hand.is_testing = True
                    dealt.append((worker, file))
        return dealt

    def done(self, worker: int, call: str) -> WaitingFile | None:
        """Take note that a file is done, or has failed; give it, or None where it was not held."""
        hand = self._hands.get(worker)
        if hand is None:
            return None
        file = hand.files.pop(call, None)
        hand.is_testing = hand.is_testing and bool(hand.files)
        return file

    def leave(self, worker: int) -> tuple[list[WaitingFile], list[WaitingFile]]:
        """Take back the files of a worker that died: those that will be dealt again, and those that were it twice."""
        hand = self._hands.pop(worker, _Hand())
        files = list(hand.files.values())
        if hand.is_testing:
            return [], files
        self._suspects += files
        return files, []

    def give_up(self) -> list[WaitingFile]:
        """Take back all that nobody will work on."""
        files = [*self._waiting, *self._suspects]
        self._waiting.clear()
        self._suspects.clear()
        return files

    def _has_room(self, hand: _Hand, file: WaitingFile) -> bool:
        return not hand.files or hand.channels + file.channels <= self._jobs


def _work_s(file: WaitingFile) -> float:
    return file.duration_s * file.channels
