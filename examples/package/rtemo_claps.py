"""Somebody claps, a plugin counts it beside the ticks, and says so in an event of its own.

pip install ./examples/package && rtemo serve --source claps --publish zmq,claps --sink claps --chain claps
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
import numpy as np
from msgspec import Meta

from rtemo import api


class Claps(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="claps"):
    """Somebody claps."""

    count: int
    """Claps within the event's span."""
    peak_dbfs: float


class SourceOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    duration_s: Annotated[float, Meta(gt=0, description="How long somebody claps, in s.")] = 5.0


class ClapsSource:
    """Somebody who claps every half second."""

    options_type: ClassVar = SourceOptions
    name, is_local = "claps", True

    def __init__(self, options: SourceOptions) -> None:
        self._options = options

    def open(self, desk: api.StreamDesk) -> None:
        self._desk, self._start_s = desk, time.monotonic()
        self._rate_hz = desk.format.sample_rate_hz
        position = np.arange(round(self._options.duration_s * self._rate_hz)) % (self._rate_hz // 2)
        noise = np.random.default_rng(0).uniform(-0.8, 0.8, len(position))
        self._sound = (noise * np.exp(-position / (0.005 * self._rate_hz))).astype(np.float32)
        self._writer = desk.open_stream("claps", "0", source=self.name)

    def pump(self) -> float | None:
        at = self._writer.position_samples
        due = at + self._writer.space_samples()  # as fast as the engine takes it, or in real time
        if self._desk.is_live:
            due = min(due, round((time.monotonic() - self._start_s) * self._rate_hz))
        self._writer.write(self._sound[at:due])
        if self._writer.position_samples < len(self._sound):
            return 0.01
        self._writer.end("end")
        return None

    def close(self) -> None: ...


class FileOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    path: Annotated[str, Meta(description="The file that is written.")] = "claps.out"


class ClapsPublisher:
    """Claps as lines of JSON in a file."""

    options_type: ClassVar = FileOptions
    name = "claps"

    def __init__(self, options: FileOptions) -> None:
        self._path = Path(options.path)

    def open(self) -> None:
        self._file = self._path.open("wb")

    def publish(self, events: Sequence[api.Event]) -> None:
        self._file.writelines(msgspec.json.encode(one) + b"\n" for one in events if isinstance(one.data, Claps))

    def tick(self) -> None: ...

    def close(self) -> None:
        self._file.close()


class ClapsSink(ClapsPublisher):
    """Processed audio as 32-bit floats in a file."""

    overrun_samples = underrun_samples = 0

    def open(self, format: api.StreamFormat) -> None:
        super().open()

    def write(self, block: api.ProcessedBlock) -> None:
        for row in range(block.n):
            self._file.write(block.audio(row)[1].astype("<f4").tobytes())


class PluginOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    above_dbfs: Annotated[float, Meta(le=0, description="What is louder is a clap, in dBFS.")] = -12.0


class ClapsPlugin:
    """Counts claps, a second at a time."""

    options_type: ClassVar = PluginOptions
    spec = api.PluginSpec(name="claps", summary="Counts claps, beside the ticks.", emits=(Claps,))

    def __init__(self, options: PluginOptions) -> None:
        self._options = options

    def open(self, context: api.PluginContext, capacity: int) -> api.Processor:
        processor, spec = ClapsProcessor(), api.LaneSpec(name="count", window_s=1.0, stride_s=1.0)
        context.lane(spec, open_counting, processor.tell, self._options)
        return processor


class ClapsProcessor(api.RowParts):
    def process(self, block: api.Block, emit: api.Emit) -> None: ...

    def tell(self, finding: api.Finding, emit: api.Emit) -> None:
        emit(finding.stream, finding.result, finding.start_sample, finding.end_sample)


def open_counting(context: api.LaneContext, options: PluginOptions) -> api.LaneWork:
    """Make what works on windows, on a thread of its own; a large model would be loaded here."""
    hop_samples = context.format.hop_samples
    return lambda windows: [count(window.samples, hop_samples, options.above_dbfs) for window in windows]


def count(samples: np.ndarray, hop_samples: int, above_dbfs: float) -> Claps:
    hops = np.abs(np.nan_to_num(samples)[: len(samples) // hop_samples * hop_samples]).reshape(-1, hop_samples)
    peak_dbfs = 20 * np.log10(hops.max(axis=1) + 1e-9)
    is_loud = np.concatenate([[False], peak_dbfs > above_dbfs])
    return Claps(count=int(np.count_nonzero(is_loud[1:] & ~is_loud[:-1])), peak_dbfs=float(peak_dbfs.max()))
