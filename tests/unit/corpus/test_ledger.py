"""What became of units stays known, whenever the program was killed."""

import pytest

from rtemo.api import ConfigError
from rtemo.corpus.files import only_one
from rtemo.corpus.ledger import Ledger
from rtemo.corpus.settings import CorpusSettings, keep_settings, read_settings
from rtemo.corpus.stages import Written

pytestmark = pytest.mark.unit


def test_entries_are_there_when_the_ledger_is_opened_again(tmp_path):
    ledger = Ledger(tmp_path / "deep" / "written.jsonl", Written)
    ledger.add(Written(unit="0000_0000", text="Grüße"), Written(unit="0000_0001", dropped="too few words"))
    again = Ledger(tmp_path / "deep" / "written.jsonl", Written)
    assert [entry.unit for entry in again] == ["0000_0000", "0000_0001"]
    assert [entry.text for entry in again.kept] == ["Grüße"]


@pytest.mark.parametrize("left_bytes", [1, 10, 30])
def test_half_a_line_is_forgotten_and_its_unit_can_be_added_again(tmp_path, left_bytes):
    path = tmp_path / "written.jsonl"
    Ledger(path, Written).add(Written(unit="a"))
    whole = path.read_bytes()
    Ledger(path, Written).add(Written(unit="b", text="x" * 40))
    path.write_bytes(path.read_bytes()[: len(whole) + left_bytes])
    ledger = Ledger(path, Written)
    assert "b" not in ledger
    ledger.add(Written(unit="b", text="y"), Written(unit="c"))
    assert [(entry.unit, entry.text) for entry in Ledger(path, Written)] == [("a", ""), ("b", "y"), ("c", "")]


@pytest.mark.parametrize("left_bytes", [1, 30, 60, 110])
def test_entries_that_were_added_together_are_all_there_or_none(tmp_path, left_bytes):
    path = tmp_path / "written.jsonl"
    Ledger(path, Written).add(Written(unit="a"))
    whole = path.read_bytes()
    Ledger(path, Written).add(*(Written(unit=unit, text="x" * 40) for unit in "bcd"))
    assert [entry.unit for entry in Ledger(path, Written)] == ["a", "b", "c", "d"]
    path.write_bytes(path.read_bytes()[: len(whole) + left_bytes])
    ledger = Ledger(path, Written)
    assert [entry.unit for entry in ledger] == ["a"]
    ledger.add(Written(unit="b"))
    assert [entry.unit for entry in Ledger(path, Written)] == ["a", "b"]


def test_a_line_in_the_middle_that_makes_no_sense_is_named(tmp_path):
    path = tmp_path / "written.jsonl"
    path.write_text('{"unit":"a"}\nnonsense\n{"unit":"c"}\n')
    with pytest.raises(ConfigError, match="line 2"):
        Ledger(path, Written)


def test_a_corpus_goes_on_with_the_settings_it_was_begun_with_alone(tmp_path):
    settings = CorpusSettings(least_words=3)
    keep_settings(tmp_path, settings)
    assert keep_settings(tmp_path, settings) == settings == read_settings(tmp_path)
    with pytest.raises(ConfigError, match="least_words = 3"):
        keep_settings(tmp_path, CorpusSettings())


def test_a_folder_without_a_corpus_says_how_to_begin_one(tmp_path):
    with pytest.raises(ConfigError, match="rtemo corpus build"):
        read_settings(tmp_path)


def test_two_programs_do_not_work_on_one_corpus(tmp_path):
    with (
        only_one(tmp_path, "building"),
        pytest.raises(ConfigError, match="another program"),
        only_one(tmp_path, "building"),
    ):
        pass
    with only_one(tmp_path, "building"):
        pass
