"""Recorded noise: every kind is heard as often as is asked, and silences are left out where pieces are joined."""

import json
from pathlib import Path

import numpy as np
import pytest

from rtemo_models.kit.audio.cache import AudioCache
from rtemo_models.systems.merit.data.recordings import Recordings, without_silence

pytestmark = pytest.mark.unit

LEVELS = (0.1, 0.2, 0.3, 0.4)
"""One per recording; each is half a second of a constant, then half a second of nothing."""


def recordings(folder: Path, shares: dict[str, float], joined_share: float) -> Recordings:
    sounds = [np.repeat(np.array([level, 0.0]), 8_000) for level in LEVELS]
    (folder / "noise.i16").write_bytes((np.concatenate(sounds) * 32_768).astype(np.int16).tobytes())
    offsets = [16_000 * k for k in range(len(LEVELS) + 1)]
    (folder / "noise.json").write_text(json.dumps({"paths": [str(k) for k in LEVELS], "offsets": offsets}))
    return Recordings(AudioCache(folder / "noise"), {"rain": [0, 1, 2], "car": [3]}, shares, joined_share)


@pytest.mark.parametrize("count", [1, 5_000, 70_000])
def test_joined_pieces_have_no_silence_and_whole_ones_keep_theirs(tmp_path: Path, count: int) -> None:
    random = np.random.default_rng(0)
    joined = recordings(tmp_path, {}, 1.0).draw(count, random)
    whole = recordings(tmp_path, {}, 0.0).draw(70_000, random)
    assert joined.shape == (count,)
    assert (joined > 0.05).all()
    assert (np.abs(whole) < 1e-6).mean() == pytest.approx(0.5, abs=0.05)


def test_kinds_are_drawn_as_often_as_asked_however_many_recordings_they_have(tmp_path: Path) -> None:
    made, random = recordings(tmp_path, {"car": 3.0}, 1.0), np.random.default_rng(1)
    cars = [made.draw(10, random)[0] == pytest.approx(0.4, abs=0.01) for _ in range(400)]
    assert np.mean(cars) == pytest.approx(0.75, abs=0.08)


def test_nothing_but_silence_is_left_as_it_is() -> None:
    silence = np.zeros(1_000, np.float32)
    assert without_silence(silence) is silence
