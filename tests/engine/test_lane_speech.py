"""A plugin's lane writes down what is said, on a thread and in a process, and says it as an event of its own kind."""

import os

import msgspec
import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

from rtemo.api import Emit, Finding, LaneSpec, PluginContext, PluginSpec
from rtemo.runtime.places import FOLDERS_VARIABLE, MissingFileError
from rtemo.runtime.store import find
from tests.engine.lane_work import WorkOptions, write_down
from tests.engine.plugins import FakePlugin, FakeProcessor
from tests.engine.rig import Rig
from tests.fakes.program import ROOT

pytestmark = pytest.mark.engine


class Written(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="written"):
    """What was said."""

    text: str
    here: bool


class Writer(FakeProcessor):
    def tell(self, finding: Finding, emit: Emit) -> None:
        said = Written(text=finding.result["text"], here=finding.result["process"] == os.getpid())
        emit(finding.stream, said, finding.start_sample, finding.end_sample)


def writer(kind: str) -> FakePlugin:
    def make(context: PluginContext, capacity: int) -> Writer:
        made = Writer()
        spec = LaneSpec(name="write", window_s=3.0, stride_s=3.0, kind=kind, hang_s=60.0)
        context.lane(spec, write_down, made.tell, WorkOptions())
        return made

    return FakePlugin(PluginSpec(name="writer"), make)


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> str:
    pytest.importorskip("faster_whisper", reason="needs the extra rtemo[words]")
    folder = str(tmp_path_factory.mktemp("cache"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", folder)
        patch.delenv(FOLDERS_VARIABLE, raising=False)
        try:
            find("whisper-base").read_files()
        except MissingFileError as error:
            pytest.skip(str(error))
    return folder


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_a_lane_writes_down_what_each_party_says_at_the_place_where_it_is_said(cache, monkeypatch, kind) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", cache)
    monkeypatch.delenv(FOLDERS_VARIABLE, raising=False)
    sound, _ = soundfile.read(ROOT / "examples/call.flac", dtype="float32", start=5 * 8000 + 4800, stop=9 * 8000)
    sound = resample_poly(sound[:, 0], 2, 1).astype(np.float32)[: 3 * 16_000]
    rig = Rig(writer(kind), live=False)
    try:
        stream = rig.open("a")
        sent = 0
        while sent < len(sound):
            sent += stream.write(sound[sent : sent + max(stream.space_samples(), 0)])
            rig.step()
        stream.end("end")
        rig.run_dry()
        (event,) = rig.all_events("written")
    finally:
        rig.engine.stop("test is over")
    assert "talking by the door" in event.data.text.lower()
    assert event.data.here == (kind == "thread")
    assert (event.call, event.plugin, event.start_sample, event.end_sample) == ("a", "writer", 0, 3 * 16_000)
