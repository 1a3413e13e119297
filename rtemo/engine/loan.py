"""Loan: what of a block must be as it was when a plugin gives it back."""

from operator import attrgetter, is_
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.api import Block
from rtemo.dsp.finite import SANE

_LENT = ("samples", "rows", "start_sample", "flags", "marks", "is_doubted", "streams", "events", "is_audio_wanted")
_lent = attrgetter(*_LENT)
_FIXED = ("rows", "start_sample", "flags")  # no plugin may write into them: every later one reads them


class Loan:
    """Keeps what a block holds while a plugin has it.

    Args:
        block: The block before the plugin gets it.
        edits_audio: Whether the plugin may write into the samples.
        audio: What the samples hold, where that is known already.

    Attributes:
        audio: What the samples hold after `recall`; empty when that is not known, since the plugin could edit them.
    """

    def __init__(self, block: Block, edits_audio: bool, audio: bytes = b"") -> None:
        self._block = block
        self._edits_audio = edits_audio
        self._lent = _lent(block)
        self._fixed = (block.rows.tobytes(), block.start_sample.tobytes(), block.flags.tobytes())
        self.audio = b"" if edits_audio else audio or block.samples.tobytes()

    def recall(self) -> str:
        """Put back what the plugin had no right to change; tells what that was, or what is wrong with its audio.

        Only for who holds the turn: it writes into arrays that everybody works on.
        """
        block, problems = self._block, []
        given_back = _lent(block)
        if not all(map(is_, given_back, self._lent)):
            for name, array, other in zip(_LENT, self._lent, given_back, strict=True):
                if other is array:
                    continue
                setattr(block, name, array)
                problems.append(f"it replaced `block.{name}` instead of writing into it (`block.{name}[:] = …`)")
        for name, content in zip(_FIXED, self._fixed, strict=True):
            if _put_back(getattr(block, name), content):
                problems.append(f"it wrote into `block.{name}`, which is not its own; work on a copy")
        if not self._edits_audio and _put_back(block.samples, self.audio):
            problems.append("it wrote into `block.samples`; set `edits_audio` in its spec, or work on a copy")
        if not problems and self._edits_audio:
            return _fault_of(block.samples)
        return problems[0] if problems else ""


def _put_back(array: NDArray[Any], content: bytes) -> bool:
    """Write the content into an array that has another one; tells whether it had."""
    if array.tobytes() == content:
        return False
    array[...] = np.frombuffer(content, array.dtype).reshape(array.shape)
    return True


def _fault_of(samples: NDArray[np.float32]) -> str:
    """Tell what is wrong with audio that a plugin hands on; empty when nothing is."""
    low, high = samples.min(initial=0.0), samples.max(initial=0.0)
    if low >= -SANE and high <= SANE:  # false for NaN too
        return ""
    if not np.isfinite(samples).all():
        return "its output is not finite"
    return f"its output reaches {max(-low, high):.3g}, expected samples in [-1, 1]"
