"""Which plugins are asked what they hear in a turn, when nobody names them."""

import pytest

from rtemo.cli.corpus.recognise import recognisers
from rtemo.config import Config

pytestmark = pytest.mark.unit


def test_every_plugin_that_tells_emotions_is_asked_and_one_without_a_model_only_when_it_was_given_one() -> None:
    usual = recognisers(Config(), ())
    assert {"listener", "merit"} <= usual.keys()
    assert "windowed" not in usual
    assert "windowed" in recognisers(Config(), ("windowed",))
    assert "windowed" in recognisers(Config(plugins={"windowed": {"bundle": "mine"}}), ())
