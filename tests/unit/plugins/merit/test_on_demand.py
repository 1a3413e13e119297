"""Merit enhances the streams whose audio somebody wants, as if it had done so all along."""

from typing import Any

import numpy as np
import pytest

from bench.lending import Lending
from rtemo.api import Block
from rtemo_plugins.merit.options import MeritOptions
from rtemo_plugins.merit.plugin import MeritPlugin
from tests.fakes.voice import voice

pytestmark = pytest.mark.unit

HOP = 160
LATE = 2
"""Hops by which the audio leaves late."""
CATCH_UP = 8


class Merit:
    """The plugin on its own bundles, fed by hand; every stream speaks all the time."""

    def __init__(self, demand: str, capacity: int = 4) -> None:
        plugin = MeritPlugin(MeritOptions())
        self.marks = plugin.spec.provides
        self.processor = plugin.open(Lending(demand), capacity)  # type: ignore[arg-type]
        self.n = self.tick = 0
        self.told: list[Any] = []

    def admit(self) -> None:
        self.processor.admit(self.n)
        self.n += 1

    def retire(self, row: int) -> None:
        self.n -= 1
        self.processor.retire(row, self.n)

    def hop(self, samples: np.ndarray, wanted: list[bool]) -> np.ndarray:
        """Play float32 [n, hop]; give the audio that leaves."""
        n, out = self.n, samples.copy()
        marks: dict[str, Any] = {f"vad.{name}": np.ones(n, np.uint8) for name in ("speech", "voice")}
        for mark in self.marks:
            marks[mark.name] = np.full((n, *mark.shape), mark.unknown, mark.dtype)
        start, flags = np.full(n, self.tick * HOP), np.zeros(n, np.uint8)
        block = Block(self.tick, out, np.arange(n), start, flags, marks, is_audio_wanted=np.array(wanted))
        self.processor.process(block, lambda *event: self.told.append(event))
        self.tick += 1
        return out


def noisy(seed: int, hops: int) -> np.ndarray:
    """Speech in noise, float32 [hops, hop]."""
    sound = np.resize(voice(hops * HOP / 16_000, seed), hops * HOP)
    return (sound + 0.01 * np.random.default_rng(seed).standard_normal(sound.size)).astype(np.float32).reshape(-1, HOP)


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    return noisy(1, 420)


@pytest.fixture(scope="module")
def enhanced(sound: np.ndarray) -> np.ndarray:
    """The sound as a plugin makes it whose audio everybody wants."""
    merit = Merit("always")
    merit.admit()
    return np.concatenate([merit.hop(hop[None], [True]) for hop in sound])


def played(sound: np.ndarray, wanted: range) -> np.ndarray:
    """The sound from a plugin whose audio is wanted for some hops."""
    merit = Merit("asked")
    merit.admit()
    return np.concatenate([merit.hop(hop[None], [k in wanted]) for k, hop in enumerate(sound)])


def power_db(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.square(samples).mean() + 1e-12))


def test_stream_that_is_wanted_from_the_beginning_is_enhanced_from_its_first_sample(sound, enhanced):
    np.testing.assert_allclose(played(sound[:60], range(60)), enhanced[:60], atol=1e-6)


def test_audio_that_nobody_wants_comes_out_as_it_came_in_equally_late(sound):
    out = played(sound[:20], range(0))
    assert not out[:LATE].any()
    np.testing.assert_array_equal(out[LATE:], sound[: 20 - LATE])


def test_stream_that_is_wanted_later_is_enhanced_soon_as_if_it_had_been_all_along(sound, enhanced):
    asked = 330
    out = played(sound, range(asked, 400))
    np.testing.assert_array_equal(out[asked - 5 : asked], sound[asked - 5 - LATE : asked - LATE])
    on = slice(asked + CATCH_UP, 400)
    plain = np.concatenate([np.zeros((LATE, HOP), np.float32), sound[:-LATE]])
    missed_db = power_db(plain[on] - enhanced[on])
    missing_db = power_db(out[on] - enhanced[on])
    assert missing_db < missed_db - 12
    assert missing_db < power_db(enhanced[on]) - 30
    np.testing.assert_array_equal(out[400:], plain[400:])


def test_young_stream_catches_up_with_all_it_has_heard(sound, enhanced):
    out = played(sound[:150], range(100, 150))
    np.testing.assert_allclose(out[100 + CATCH_UP :], enhanced[100 + CATCH_UP : 150], atol=1e-5)


def test_streams_that_are_wanted_or_not_do_not_touch_each_other_while_rows_move(sound, enhanced):
    others = [noisy(seed, 150) for seed in (2, 3)]
    merit, kept = Merit("asked"), []
    for _ in range(3):
        merit.admit()
    for k in range(150):
        if k == 70:
            merit.retire(0)  # the last stream, which is the one under test, takes its row
        rows = [others[0][k], others[1][k], sound[k]] if k < 70 else [sound[k], others[1][k]]
        wanted = [k > 20, False, k >= 60] if k < 70 else [True, k > 90]
        out = merit.hop(np.stack(rows), wanted)
        kept.append(out[2] if k < 70 else out[0])
    np.testing.assert_allclose(np.stack(kept)[90:], enhanced[90:150], atol=1e-5)


def test_what_is_found_does_not_depend_on_who_wants_the_audio(sound):
    told = []
    for demand, wanted in (("never", False), ("asked", False), ("asked", True), ("always", True)):
        merit = Merit(demand)
        merit.admit()
        for hop in sound[:300]:
            merit.hop(hop[None], [wanted])
        told.append([(row, data, start, end) for row, data, start, end in merit.told])
    assert told[0], "nothing was found"
    assert all(found == told[0] for found in told[1:])


def test_network_that_enhances_is_not_even_loaded_where_nobody_will_want_audio():
    class Refusing(Lending):
        def __init__(self) -> None:
            super().__init__("never")
            lend = self.model
            self.model = lambda name: pytest.fail(name) if name == "merit-enhance" else lend(name)

    MeritPlugin(MeritOptions()).open(Refusing(), 2)
