"""GatesPlugin: asks for the lane, and says when music or noise begins to lie under the speech of a stream."""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import (
    Block,
    Emit,
    Finding,
    LaneContext,
    LaneSpec,
    LaneWork,
    PluginContext,
    PluginError,
    PluginSpec,
    Quality,
    ResetReason,
    StreamFacts,
)
from rtemo.api.lane import Window
from rtemo.dsp.amplitude_snr import wada_snr_db
from rtemo.dsp.music import RATE_HZ, music_share, steadiness
from rtemo_plugins.gates.options import GatesOptions

_LEAST_S = 3.0


class GatesPlugin:
    """The factory; see the README beside this file."""

    options_type: ClassVar[type[GatesOptions]] = GatesOptions

    def __init__(self, options: GatesOptions) -> None:
        self._options = options

    @property
    def spec(self) -> PluginSpec:
        """Facts about the plugin as configured."""
        return PluginSpec(
            name="gates",
            summary="Whether music or noise lies under the speech, so that little of what is found may be trusted.",
            version="1",
            reads_audio=False,
            requires=("vad.speech",),
            emits=(Quality,),
        )

    def open(self, context: PluginContext, capacity: int) -> "GatesProcessor":
        """Ask for the lane and make a processor.

        Raises:
            PluginError: The rate is not 16 kHz.
        """
        options, watch = self._options, Watch(self._options.patience)
        if context.format.sample_rate_hz != RATE_HZ:
            raise PluginError(
                f"gates takes {RATE_HZ} Hz, the engine gives {context.format.sample_rate_hz} Hz",
                "take the gates plugin out of `chain`",
            )

        def open_work(lent: LaneContext, given: Any) -> LaneWork:
            return Gates(options)

        spec = LaneSpec(
            name="look",
            window_s=options.window_s,
            stride_s=options.stride_s,
            least_s=min(_LEAST_S, options.window_s),
            while_mark="vad.speech",
            max_age_s=options.max_age_s,
            max_batch=options.max_batch,
        )
        context.lane(spec, open_work, watch.tell, options)
        return GatesProcessor(watch)


class Look(NamedTuple):
    """What one window holds: the problem, empty when there is none, and in words."""

    problem: str
    detail: str


class Gates:
    """The work of the lane: music before noise, since it is noise to the ratio, too.

    Args:
        options: Of the plugin.
    """

    def __init__(self, options: GatesOptions) -> None:
        self._options = options

    def __call__(self, windows: Sequence[Window]) -> list[Look]:
        """Look at windows."""
        return [self._look(np.clip(np.nan_to_num(window.samples), -1.0, 1.0)) for window in windows]

    def _look(self, samples: NDArray[np.float32]) -> Look:
        music = music_share(steadiness(samples), 0, len(samples))
        if music > self._options.most_music:
            return Look(
                "music", f"held notes in {music:.0%} of the last seconds: music lies under the speech, or is it"
            )
        snr_db = wada_snr_db(samples)
        if snr_db < self._options.least_snr_db:
            return Look("noise", f"speech some {snr_db:.0f} dB above the noise: what is found may be of the noise")
        return Look("", "")


class Watch:
    """What was found of each stream of late, and what has been said; told by the driver thread alone.

    Args:
        patience: Windows in a row that must say the same.
    """

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._of: dict[int, tuple[str, int, str]] = {}  # stream → problem, windows in a row, what was said last

    def tell(self, finding: Finding, emit: Emit) -> None:
        """Say a problem once when it has lasted, and again only after a time without."""
        look: Look = finding.result
        problem, count, said = self._of.get(finding.stream.id, ("", 0, ""))
        count = count + 1 if look.problem == problem else 1
        if count >= self._patience and look.problem != said:
            said = look.problem
            if said:
                emit(
                    finding.stream,
                    Quality(problem=said, detail=look.detail),
                    finding.start_sample,
                    finding.end_sample,
                )
        self._of[finding.stream.id] = (look.problem, count, said)

    def leave(self, stream: int) -> None:
        """Forget a stream."""
        self._of.pop(stream, None)


class GatesProcessor:
    """Keeps account of who is there; all else is done in the lane.

    Args:
        watch: What forgets streams that leave.
    """

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._streams: list[StreamFacts] = []

    def process(self, block: Block, emit: Emit) -> None:
        """Note who is there."""
        self._streams = list(block.streams)

    def admit(self, row: int) -> None:
        """Do nothing: a stream is known by its number."""

    def retire(self, row: int, last: int) -> None:
        """Forget the stream at `row`; the one at `last` takes its place."""
        if last < len(self._streams):
            self._watch.leave(self._streams[row].id)
            self._streams[row] = self._streams[last]
            self._streams.pop()

    def reset(self, rows: NDArray[np.int64], reason: ResetReason) -> None:
        """Do nothing: the engine gives no window that spans a jump."""

    def close(self) -> None:
        """Nothing to free: the lane belongs to the engine."""
