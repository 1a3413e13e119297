"""Others: whose verdict counts in the place of gem's own, and for how long."""

from typing import Any

import numpy as np
import pytest

from rtemo.api import BlockEvent, Spoof
from rtemo_plugins.gem.others import Others

pytestmark = pytest.mark.unit

SPOOF = Spoof(score=2.0, verdict="spoof", speech_s=3.0)


def event(row: int | None, plugin: str = "listener", data: Any = SPOOF) -> BlockEvent:
    return BlockEvent(row, None, plugin, data, 0, 16_000)


def test_only_what_is_said_of_a_voice_by_one_who_is_believed_counts() -> None:
    others = Others(("listener",), 100, 4)
    assert others.hear([event(1, "stranger"), event(None), event(2)]) == [(2, SPOOF)]
    assert others.speak_of(np.arange(4)).tolist() == [False, False, True, False]


def test_who_cannot_decide_any_more_leaves_the_voice_to_gem_unless_an_alarm_of_his_stands() -> None:
    others = Others(("listener",), 100, 4)
    others.hear([event(0), event(1)])
    unsure = Spoof(score=0.0, verdict="unknown", speech_s=9.0)
    assert others.hear([event(0, data=unsure)]) == []
    alarmed = Spoof(score=0.0, verdict="unknown", speech_s=9.0, is_alarmed=True)
    assert others.hear([event(1, data=alarmed)]) == [(1, alarmed)]
    assert others.speak_of(np.arange(2)).tolist() == [False, True]


def test_what_was_said_goes_with_its_stream_to_another_row_and_ends_with_it() -> None:
    others = Others(("listener",), 100, 4)
    for row in range(3):
        others.admit(row)
    others.hear([event(2)])
    others.retire(0, 2)
    assert others.speak_of(np.arange(2)).tolist() == [True, False]
    others.retire(0, 1)
    others.admit(1)
    assert not others.speak_of(np.arange(2)).any()
