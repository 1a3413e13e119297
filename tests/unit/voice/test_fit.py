"""A style is searched for among what the voices of a model span."""

import numpy as np
import pytest

from rtemo.api import Consent
from rtemo.testing.voice import voice as speech
from rtemo.voice import fit
from rtemo.voice.errors import VoiceError
from tests.fakes.speaking import notes_voice

pytestmark = pytest.mark.unit

CONSENT = Consent(who="Jane Doe", when="2026-11-30")


class LevelEmbedder:
    """Takes the level of a sound for the voice: the notes of the made-up voice are as loud as its style says."""

    def embed(self, samples):
        level = float(np.abs(samples).mean())
        return np.array([np.cos(level * 8), np.sin(level * 8)], np.float32)

    def embed_windows(self, samples):
        return np.ones((1, 2), np.float32)


def test_the_search_comes_nearer_than_any_voice(monkeypatch):
    monkeypatch.setattr(fit, "PROBE", "abc abc abc")
    monkeypatch.setattr(fit, "check_reference", lambda samples, embedder: None)
    told = []
    reference = speech(4.0, seed=1)
    found = fit.fit_style(
        notes_voice(), reference, LevelEmbedder(), CONSENT, tries=60, on_progress=lambda *given: told.append(given)
    )
    assert found.similarity["fitted"] >= found.similarity["nearest_voice"]
    assert found.consent == CONSENT
    assert found.bundle == "notes"
    assert told[-1][0] <= 60
    assert [best for _, best in told] == sorted(best for _, best in told)


def test_the_same_seed_gives_the_same_style(monkeypatch):
    monkeypatch.setattr(fit, "PROBE", "abc abc abc")
    monkeypatch.setattr(fit, "check_reference", lambda samples, embedder: None)
    given = (notes_voice(), speech(4.0, seed=1), LevelEmbedder(), CONSENT)
    assert fit.fit_style(*given, tries=20).style == fit.fit_style(*given, tries=20).style


def test_halves_are_mixed_by_themselves():
    rows = np.array([[1, 1, 2, 2], [3, 3, 6, 6]], np.float32)
    assert fit.mixed(rows, np.array([1.0, 0.0, 0.0, 1.0]), 2).tolist() == [1, 1, 6, 6]
    assert fit.mixed(rows, np.array([1.0, 1.0, 3.0, 1.0]), 2).tolist() == [2, 2, 3, 3]


def test_a_model_that_does_not_plan_cannot_be_fitted(monkeypatch):
    monkeypatch.setattr(fit, "check_reference", lambda samples, embedder: None)
    with pytest.raises(VoiceError, match="does not tell how it plans"):
        fit.fit_style(notes_voice(can_plan=False), speech(4.0), LevelEmbedder(), CONSENT)
