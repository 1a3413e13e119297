import pytest

from bench.capacity.demo import measure, repeated

pytestmark = [pytest.mark.e2e, pytest.mark.timed]


@pytest.mark.parametrize(("view", "with_subscriber"), [("drawn", True), ("plain", False)])
def test_the_demo_is_measured_by_what_is_said_about_it(tmp_path, view, with_subscriber):
    call = repeated(tmp_path / "call.flac", 4.0)
    found = measure(call, tmp_path, view, with_subscriber, ["--chain", "level,vad"])
    assert found["status"] == 0
    assert found["seconds"] in (3, 4)
    assert found["counters"]["overrun_samples"] == found["counters"]["dropped_events"] == 0
    assert set(found["counters"]) >= {"xruns", "skipped_hops", "concealed_hops"}
    assert 0 < found["tick_p50_us"]["median"] <= found["tick_p50_us"]["worst"] < 1e6
    assert found["events"] > 40, "two levels every tenth of a second"
