"""A plugin whose slow work is that of `tests.engine.lane_work`, in a lane of any kind."""

from typing import Any

from rtemo.api import Emit, Finding, LaneSpec, LaneStatus, Level, Mark, PluginContext, PluginSpec
from tests.engine.lane_work import WorkOptions, describe
from tests.engine.plugins import FakePlugin, FakeProcessor


class Told(FakeProcessor):
    """Emits a level for every finding; the span is the window's."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.lane: LaneStatus

    def tell(self, finding: Finding, emit: Emit) -> None:
        self.findings.append(finding)
        data = Level(rms_dbfs=float(finding.result["mean"]), peak_dbfs=0.0, clipped_ratio=0.0)
        emit(finding.stream, data, finding.start_sample, finding.end_sample)


def lane_plugin(options: WorkOptions | None = None, open_work: Any = describe, **facts: Any) -> FakePlugin:
    spec = LaneSpec(**{"name": "work", "window_s": 0.5, "stride_s": 0.2, "least_s": 0.1, **facts})

    def make(context: PluginContext, capacity: int) -> Told:
        told = Told()
        told.lane = context.lane(spec, open_work, told.tell, options or WorkOptions())
        return told

    return FakePlugin(PluginSpec(name="slow", provides=(Mark("slow.mark"),)), make)
