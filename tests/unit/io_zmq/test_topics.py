import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtemo.io.topics import call_prefix, escape, event_topic, heartbeat_topic, tenant_prefix, unescape

pytestmark = pytest.mark.unit

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(names)
def test_escaped_name_comes_back_unchanged(name: str) -> None:
    assert unescape(escape(name)) == name


@given(names)
def test_escaped_name_is_printable_ascii_without_slash_or_space(name: str) -> None:
    part = escape(name)
    assert part.isascii()
    assert part.isprintable()
    assert not set(part) & set("/ ")
    assert part
    assert part == "_" or not part.startswith("_")


@given(names, names)
def test_different_calls_never_share_a_prefix(first: str, second: str) -> None:
    if first and second and first != second:
        assert not call_prefix("main", first).startswith(call_prefix("main", second))


def test_prefix_of_a_call_does_not_match_a_longer_name() -> None:
    assert event_topic("main", "call12", "0", "emotion").startswith(call_prefix("main", "call12"))
    assert not event_topic("main", "call12", "0", "emotion").startswith(call_prefix("main", "call1"))


def test_no_call_can_pass_for_a_heartbeat_or_the_engine() -> None:
    assert call_prefix("main", "_hb") != heartbeat_topic("main")
    assert call_prefix("main", "_engine") != call_prefix("main", "")
    assert event_topic("main", "a", "_hb", "x").split("/")[3] != "_hb"


def test_topic_has_five_parts_and_a_final_slash() -> None:
    topic = event_topic("ten ant", "a/b", "left channel", "speech_start")
    assert topic == "v1/ten%20ant/a%2Fb/left%20channel/speech_start/"
    assert topic.count("/") == 5
    assert topic.startswith(tenant_prefix("ten ant"))


def test_name_that_is_not_valid_unicode_still_gives_a_topic() -> None:
    assert escape("odd\udcff") == "odd%3F"
