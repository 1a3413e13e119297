"""HandOut: gives the processed audio of a tick to whoever wants it."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rtemo.api import Block, ProcessedBlock, StreamFormat
from rtemo.engine.floor import Floor
from rtemo.engine.gather import Intake
from rtemo.engine.sink_thread import SinkThread
from rtemo.engine.trouble import describe, is_theirs

AudioTap = Callable[[str, str, int, NDArray[np.float32]], None]
"""Called on the driver thread with call, channel, start_sample and the processed hop, float32 [hop_samples].

The position is that of the input sample, however long the chain delays it; see `rtemo.api.ProcessedBlock`. The hop is
a copy that may be kept. A tap that raises is called no more; one that takes long makes every stream late: whatever
writes, sends or plays belongs into an `rtemo.api.AudioSink`, which has a thread of its own."""


class HandOut:
    """One copy of a tick for all sinks together, and one of each hop for the tap.

    Args:
        format: Of all audio.
        floor: Who the streams are.
        intake: Tells where the audio of a stream ends.
        sinks: Each on a thread of its own.
        on_audio: Called with every hop, if anything.
        report_fault: Says of a tap that it raised, with name, problem and action.
    """

    def __init__(
        self,
        format: StreamFormat,
        floor: Floor,
        intake: Intake,
        sinks: Sequence[SinkThread],
        on_audio: AudioTap | None,
        report_fault: Callable[[str, str, str], None],
    ) -> None:
        self._format = format
        self._floor = floor
        self._intake = intake
        self._sinks = sinks
        self._on_audio = on_audio
        self._report_fault = report_fault

    def give(
        self, block: Block, last: NDArray[np.intp], hop_end: NDArray[np.int64], capture_ns: NDArray[np.int64]
    ) -> None:
        """Hand out what the chain has made of a tick.

        Args:
            block: The tick.
            last: Rows whose stream ends with it.
            hop_end: int64 [capacity], one past the last sample that has come in, by rows.
            capture_ns: int64 [capacity], when that was captured; 0 where nobody knows.
        """
        if self._sinks:
            is_last = np.zeros(block.n, np.bool_)
            is_last[last] = True
            start_sample = block.start_sample.copy()
            # Capture times are those of the audio that came in; what comes out was captured earlier.
            behind_ns = (hop_end[: block.n] - start_sample - self._format.hop_samples) * 1_000_000_000
            captured_ns = capture_ns[: block.n]
            processed = ProcessedBlock(
                tuple(self._floor.rows),
                block.samples.copy(),
                start_sample,
                self._intake.heard[block.rows],
                np.where(captured_ns, captured_ns - behind_ns // self._format.sample_rate_hz, 0),
                is_last,
            )
            for sink in self._sinks:
                sink.outbox.put(processed)
        if self._on_audio is None:
            return
        try:
            for row, stream in enumerate(self._floor.rows):
                self._on_audio(stream.call, stream.channel, int(block.start_sample[row]), block.samples[row].copy())
        except BaseException as error:
            if not is_theirs(error):
                raise
            self._on_audio = None
            self._report_fault("on_audio", describe(error), "closed")
