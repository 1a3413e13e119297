from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta

from rtemo.api import ConfigError
from rtemo.config import parse_config
from rtemo.config.strict import convert

pytestmark = pytest.mark.unit


class Inner(msgspec.Struct, frozen=True):
    size: Annotated[int, Meta(ge=1)] = 1


class Outer(msgspec.Struct, frozen=True):
    inner: Inner = Inner()
    mode: Literal["fast", "slow"] = "fast"
    ratio: Annotated[float, Meta(gt=0, le=1)] | None = None
    names: tuple[str, ...] = ()
    deep: Inner | None = None
    parts: tuple[Inner, ...] = ()


def problem(data):
    with pytest.raises(ConfigError) as caught:
        convert(data, Outer, origin="my.toml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"iner": {}}, ["my.toml: unknown key iner", "did you mean 'inner'?"]),
        ({"inner": {"sise": 3}}, ["unknown key inner.sise", "did you mean 'size'?"]),
        ({"deep": {"sise": 3}}, ["unknown key deep.sise", "did you mean 'size'?"]),
        ({"parts": [{}, {"sise": 3}]}, ["unknown key parts[1].sise", "did you mean 'size'?"]),
        ({"parts": [{"size": 0}]}, ["parts[0].size is 0", "expected a whole number >= 1"]),
        ({"parts": 3}, ["parts is 3", "expected a list"]),
        ({"zzz": 1}, ["unknown key zzz", "known here: deep, inner, mode, names, parts, ratio"]),
        ({"inner": {"size": "many"}}, ['inner.size is "many"', "expected a whole number"]),
        ({"inner": {"size": 0}}, ["inner.size is 0", "expected a whole number >= 1"]),
        ({"inner": {"size": 1.5}}, ["inner.size is 1.5", "expected a whole number"]),
        ({"inner": 3}, ["inner is 3", "expected a table"]),
        ({"mode": "fats"}, ['mode is "fats"', 'expected one of "fast", "slow"', "did you mean 'fast'?"]),
        ({"mode": 3}, ["mode is 3"]),
        ({"ratio": 2.0}, ["ratio is 2.0", "expected a number <= 1.0"]),
        ({"ratio": True}, ["ratio is true", "expected a number"]),
        ({"names": "a"}, ['names is "a"', "expected a list"]),
        ({"names": ["a", 3]}, ["names[1] is 3", "expected text in quotes"]),
    ],
)
def test_what_is_wrong_is_named_with_file_key_value_and_expectation(data, words):
    text = problem(data)
    for word in words:
        assert word in text
    assert "\n" not in text


def test_what_is_right_is_converted():
    assert convert({"inner": {"size": 3}, "ratio": 1}, Outer, origin="x") == Outer(inner=Inner(size=3), ratio=1.0)


def test_a_long_value_is_shown_shortened():
    assert len(problem({"inner": {"size": "x" * 10_000}})) < 300


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[engine]\ncapcity = 3", "unknown key engine.capcity; did you mean 'capacity'?"),
        ("[enigne]\ncapacity = 3", "unknown key enigne; did you mean 'engine'?"),
        ('chain = ["level", "merti"]', "chain[1] is 'merti', which is not installed; did you mean 'merit'?"),
        ("[plugins.merti]\nx = 1", "there is no plugin for [plugins.merti]; did you mean 'merit'?"),
        ("[plugins]\nlevel = 3", "plugins.level is not a table"),
        ("[plugins.vad]\nhangovr_ms = 3", "unknown key plugins.vad.hangovr_ms; did you mean 'hangover_ms'?"),
        ('[plugins.vad]\nhangover_ms = "long"', 'plugins.vad.hangover_ms is "long", expected a number'),
        ('[plugins.vad]\nback_end = "webrtx"', "did you mean 'webrtc'?"),
        ("[publishers.zmq.curve]\nkeyfile = 3", "unknown key publishers.zmq.curve.keyfile; did you mean 'key_file'?"),
        ("chain = [", "is not valid TOML"),
        ("chain = 3", "chain is 3, expected a list"),
        ("engine = 3", "engine is 3, expected a table"),
    ],
)
def test_typos_in_the_real_configuration_are_refused_with_the_nearest_key(text, words):
    with pytest.raises(ConfigError) as caught:
        parse_config(text, origin="rtemo.toml")
    assert words in str(caught.value)
    assert "rtemo.toml" in str(caught.value)
