"""The merit plugin keeps the contract on bundles with random weights too, whichever weights are installed."""

from importlib.metadata import EntryPoint

import pytest

from rtemo.engine import registry
from rtemo.testing.test_plugins import *  # noqa: F403 - the same checks on other cases
from rtemo.testing.test_plugins import Case
from tests.fakes.merit import merit_bundles

pytestmark = pytest.mark.contract

POINT = EntryPoint("merit", "rtemo_plugins.merit.plugin:MeritPlugin", registry.GROUP)
OPTIONS = {
    "enhancing": {},
    "limited": {"wet": 0.8, "attenuation_limit_db": 12.0},
    "listening": {"enhance": False},
}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    return merit_bundles(tmp_path_factory.mktemp("merit"))._asdict()


@pytest.fixture(params=OPTIONS)
def case(request, bundles, monkeypatch) -> Case:
    points = registry.installed() | {POINT.name: POINT}
    monkeypatch.setattr(registry, "installed", lambda: points)
    return Case(POINT.name, OPTIONS[request.param] | bundles)
