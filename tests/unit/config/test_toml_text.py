import enum
import tomllib
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from rtemo.config import Config, installed_options, parse_config, render
from rtemo.config.toml_text import as_toml

pytestmark = pytest.mark.unit


class Shade(enum.Enum):
    LIGHT = "light"
    DARK = "dark"


class Leaf(msgspec.Struct, frozen=True):
    shade: Shade = Shade.DARK


class Tree(msgspec.Struct, frozen=True):
    height_m: Annotated[float, Meta(ge=0, le=100, description="How high.")] = 2.5
    kind: Annotated[Literal["oak", "elm"], Meta(description="Which.")] = "oak"
    nickname: Annotated[str, Meta(description="If any.")] | None = None
    leaf: Annotated[Leaf, Meta(description="One of many.")] = Leaf()
    notes: dict[str, int] = msgspec.field(default_factory=dict)


def test_comments_carry_description_bounds_and_choices():
    text = render(Tree())
    assert "# How high. 0 to 100.\nheight_m = 2.5" in text
    assert '# Which. One of "oak", "elm".\nkind = "oak"' in text
    assert "# If any.\n# nickname =" in text
    assert "# One of many.\n[leaf]" in text
    assert '"dark"' in text


def test_without_comments_only_keys_are_left():
    lines = render(Tree(), comments=False).splitlines()
    assert not [line for line in lines if line.startswith("# ") and "=" not in line]


@given(
    st.recursive(
        st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False)
        | st.text(st.characters(codec="utf-8")),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_any_value_reads_back_as_it_was_written(value):
    assert tomllib.loads(f"value = {as_toml(value)}")["value"] == value


def test_tables_in_a_list_are_written_without_what_is_not_set():
    class Forest(msgspec.Struct):
        trees: tuple[Tree, ...] = ()

    text = render(Forest((Tree(height_m=1.0),)), comments=False)
    assert msgspec.convert(tomllib.loads(text), Forest).trees == (Tree(height_m=1.0),)
    assert "nickname" not in text


def test_the_printed_defaults_load_back_to_the_same_configuration():
    options = installed_options()
    loaded = parse_config(render(Config(), {"plugins": options}))
    assert msgspec.structs.replace(loaded, plugins={}) == Config()
    assert installed_options(loaded.plugins) == options
    assert set(options) >= {"level", "vad", "prosody", "merit"}


def test_a_changed_configuration_loads_back_too():
    changed = parse_config(
        'chain = ["vad"]\n[engine]\ncapacity = 7\n'
        '[sources.microphone]\ndevice = "a \\"b\\" \\\\ ü"\n[plugins.vad]\nhangover_ms = 123.5'
    )
    again = parse_config(render(changed, {"plugins": installed_options(changed.plugins)}))
    assert again.plugins["vad"]["hangover_ms"] == 123.5
    assert msgspec.structs.replace(again, plugins={}) == msgspec.structs.replace(changed, plugins={})


def test_every_key_has_a_comment():
    text = render(Config(), {"plugins": installed_options()})
    lines = text.splitlines()
    bare = [
        line
        for before, line in zip(["", *lines], lines, strict=False)
        if "=" in line and not line.startswith("#") and not before.startswith("#")
    ]
    assert bare == []
