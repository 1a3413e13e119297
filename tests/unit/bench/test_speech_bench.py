"""Benches of speech go on where they stopped, hear phones without words, and tell how surely figures go together."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from bench.quality import phones
from bench.quality.reconstruction import correlation
from bench.quality.speech_scores import Kept
from rtemo_models.systems.chiressd.consonants import consonants_heard, share_right

pytestmark = pytest.mark.unit


def heard(monkeypatch, *sounds):
    monkeypatch.setattr(phones, "recogniser", lambda: lambda samples, rate_hz: SimpleNamespace(phonemes=list(sounds)))
    return phones.heard_signs(np.zeros(16_000, np.float32))


def test_a_run_that_was_stopped_finds_what_it_has_measured(tmp_path):
    path = tmp_path / "kept.jsonl"
    Kept(path).add({"speaker": "a", "arm": "plain", "WER": 0.5})
    again = Kept(path)
    assert again.get(speaker="a", arm="plain") == {"speaker": "a", "arm": "plain", "WER": 0.5}
    assert again.get(speaker="a", arm="label") is None
    again.add({"speaker": "a", "arm": "label", "WER": 0.25})
    assert [row["arm"] for row in Kept(path).rows] == ["plain", "label"]


def test_nothing_is_written_where_no_file_was_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kept = Kept(None)
    kept.add({"arm": "plain"})
    assert kept.get(arm="plain") is not None
    assert not list(tmp_path.iterdir())


def test_phones_become_the_signs_of_the_voice(monkeypatch):
    assert heard(monkeypatch, "b", "ɝ", "t͡ʃ", "d͡ʒ", "ɾ", "g") == "bɜɹʧʤtɡ"


def test_a_sentence_heard_as_it_was_said_has_all_its_consonants(monkeypatch):
    said = phones.as_heard("bˈɜɹʧ kənˈu bˈɛɾɚ")
    heard_signs = heard(monkeypatch, "b", "ɝ", "t͡ʃ", "k", "ə", "n", "u", "b", "ɛ", "t", "ə")
    assert share_right(consonants_heard(said, heard_signs)) == 1.0


def test_a_fronted_consonant_is_heard_wrong(monkeypatch):
    heard_signs = heard(monkeypatch, "t", "æ", "t")
    assert share_right(consonants_heard(phones.as_heard("kˈæt"), heard_signs)) == 0.5


def test_a_missing_recogniser_is_one_clear_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "hama.asr", None)
    phones.recogniser.cache_clear()
    with pytest.raises(SystemExit, match="pip install hama") as caught:
        phones.recogniser()
    assert "\n" not in str(caught.value)


def test_a_correlation_comes_with_its_interval():
    shares = np.linspace(0, 1, 30)
    assert correlation(shares, 2 * shares + 1).startswith("r = 1.00 [1.00, 1.00] (n = 30)")
    noise = np.random.default_rng(1).standard_normal(30)
    low, high = correlation(shares, noise).split("[")[1].split("]")[0].split(", ")
    assert float(low) < 0.0 < float(high)
