"""The ranker plugin keeps the contract on made-up bundles and words too, whichever weights are installed."""

from importlib.metadata import EntryPoint

import pytest

from rtemo.engine import registry
from rtemo.testing.test_plugins import *  # noqa: F403 - the same checks on other cases
from rtemo.testing.test_plugins import Case
from tests.fakes.merit import merit_bundles
from tests.fakes.ranker import ranker_bundle

pytestmark = pytest.mark.contract

POINTS = {
    "ranker": EntryPoint("ranker", "rtemo_plugins.ranker.plugin:RankerPlugin", registry.GROUP),
    "words": EntryPoint("words", "tests.fakes.ranker:WordsPlugin", registry.GROUP),
}
RULE = {
    "name": "up",
    "when": [{"attribute": "arousal", "measure": "p_rising", "above": 0.6, "for_s": 1.0}],
    "hits": 2,
    "windows": 3,
    "cool_down_s": 5.0,
}
OPTIONS = {"least_s": 1.0, "refresh_s": 0.5, "change_z": 1.0, "memory_s": 10.0, "alerts": [RULE]}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranker")
    listen = merit_bundles(folder / "merit").listen_bundle
    return {"bundle": ranker_bundle(folder / "ranker", seed=3), "listen_bundle": listen}


@pytest.fixture
def case(bundles, monkeypatch) -> Case:
    points = {name: point for name, point in registry.installed().items() if name != "merit"} | POINTS
    monkeypatch.setattr(registry, "installed", lambda: points)
    return Case("ranker", OPTIONS | bundles)
