"""The gem plugin keeps the contract on a bundle with random weights too, whichever weights are installed."""

from importlib.metadata import EntryPoint

import pytest

from rtemo.engine import registry
from rtemo.testing.test_plugins import *  # noqa: F403 - the same checks on other cases
from rtemo.testing.test_plugins import Case
from tests.fakes.gem import gem_bundle

pytestmark = pytest.mark.contract

POINTS = {
    "gem": EntryPoint("gem", "rtemo_plugins.gem.plugin:GemPlugin", registry.GROUP),
    "moods": EntryPoint("moods", "tests.fakes.moods:MoodsPlugin", registry.GROUP),
}
OPTIONS = {
    "warning": {},
    "muting": {"policy": "mute", "least_s": 0.5, "cool_down_s": 0.5},
}
CALIBRATION = {"threshold_at_1_per_hour": 1.5, "bona_fide_below": -0.5, "alarm_limit_at_1_per_hour": 4.0}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return gem_bundle(tmp_path_factory.mktemp("gem"), calibration=CALIBRATION)


@pytest.fixture(params=OPTIONS)
def case(request, bundle, monkeypatch) -> Case:
    points = {name: point for name, point in registry.installed().items() if name != "merit"} | POINTS
    monkeypatch.setattr(registry, "installed", lambda: points)
    return Case("gem", OPTIONS[request.param] | {"bundle": bundle})
