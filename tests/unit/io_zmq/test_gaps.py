import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtemo.io.gaps import GapCount
from rtemo.io.publishers.numbering import Numbering, Topic
from rtemo.io.wire import WireEvent
from tests.fakes.zmq_ends import event

pytestmark = pytest.mark.unit


def published(calls: list[str]) -> list[tuple[Topic, WireEvent[object]]]:
    numbering = Numbering("main")
    return [numbering.number(event(call)) for call in calls]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
def test_every_lost_event_is_counted_once_the_publishers_numbers_are_known(fate: list[tuple[str, bool]]) -> None:
    gaps = GapCount()
    gaps.is_seeded = True
    sent = published([call for call, _ in fate])
    for (topic, wire), (_, arrives) in zip(sent, fate, strict=True):
        if arrives:
            assert gaps.count(topic.name, wire, 0.0) is not None
    gaps.settle({topic.name: topic.seq for topic, _ in sent}, len(sent), 0.0)
    assert gaps.lost_events == sum(not arrives for _, arrives in fate)


def test_duplicate_is_told_from_news() -> None:
    gaps = GapCount()
    (topic, first), (_, second) = published(["a", "a"])
    assert gaps.count(topic.name, first, 0.0) == 0
    assert gaps.count(topic.name, second, 0.0) == 0
    assert gaps.count(topic.name, first, 0.0) is None
    assert gaps.count(topic.name, second, 0.0) is None


def test_late_joiner_does_not_count_what_came_before() -> None:
    gaps = GapCount()
    topic, wire = published(["a"] * 9)[-1]
    assert gaps.count(topic.name, wire, 0.0) == 0


def test_new_topic_must_begin_at_one_once_all_topics_are_known() -> None:
    gaps = GapCount()
    gaps.is_seeded = True
    topic, wire = published(["a"] * 3)[-1]
    assert gaps.count(topic.name, wire, 0.0) == 2


def test_topic_that_begins_again_is_not_a_loss() -> None:
    numbering = Numbering("main")
    gaps = GapCount()
    for _ in range(5):
        topic, wire = numbering.number(event("a"))
        gaps.count(topic.name, wire, 0.0)
    numbering.forget("a")
    topic, wire = numbering.number(event("a"))
    assert wire.seq == 1
    assert gaps.count(topic.name, wire, 0.0) == 0


def test_numbers_that_are_older_than_what_was_seen_change_nothing() -> None:
    gaps = GapCount()
    sent = published(["a"] * 4)
    for topic, wire in sent:
        gaps.count(topic.name, wire, 0.0)
    assert gaps.settle({sent[0][0].name: 2}, 2, 0.0) == 0
    assert gaps.lost_events == 0
