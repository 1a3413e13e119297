"""A package with a plugin that cannot be imported is no obstacle to whoever does not use it."""

from importlib.metadata import EntryPoint

import pytest

from rtemo.api import ConfigError, PluginError
from rtemo.cli.options import load, with_queries
from rtemo.cli.tuning.turns import chain_before
from rtemo.engine import registry

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def broken(monkeypatch):
    """One that comes before all others."""
    point = EntryPoint("broken", "rtemo_no_such_package.plugin:Plugin", registry.GROUP)
    others = {name: found for name, found in registry.installed().items() if found.value.startswith("rtemo_plugins.")}
    usable = {name: others[name] for name in load(None).chain} | {"meaning": others["meaning"]}
    monkeypatch.setattr(registry, "installed", lambda: {"broken": point} | usable)


def test_a_query_finds_the_plugin_that_takes_it_and_the_broken_one_is_named(capsys):
    assert with_queries(load(None), ("tense",)).chain[-1] == "meaning"
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("rtemo: ! plugin 'broken' cannot be imported")


def test_what_is_tuned_gets_the_chain_that_it_needs():
    assert "vad" in chain_before(load(None), "merit")


def test_in_the_chain_it_is_an_obstacle():
    with pytest.raises((PluginError, ConfigError), match="broken"):
        with_queries(load(None, (), "vad,broken"), ("tense",))
