"""`rtemo search` in stored events: by stored scores, by what was said, and with a word where there is neither."""

from pathlib import Path

import msgspec
import pytest

from rtemo.api import Payload, QueryScore, SpeechStart, Transcript
from rtemo.io.publishers.store import append
from rtemo.io.wire import encode
from rtemo.runtime import store
from rtemo.runtime.places import MissingFileError
from rtemo.runtime.store import find
from tests.fakes.meaning import FakeStore
from tests.fakes.program import call
from tests.fakes.wire_samples import sample

pytestmark = pytest.mark.unit

ANGRY = "This is outrageous, I want my money back right now!"
THANKS = "Thank you so much, that was very kind of you."


def write(path: Path, *told: tuple[str, float, Payload]) -> Path:
    """Write events of 2 s: call, begin in s, payload."""
    for call_name, start_s, data in told:
        event = msgspec.structs.replace(
            sample(data), call=call_name, channel="0", t0_ms=1000 * start_s, t1_ms=1000 * (start_s + 2.0)
        )
        if path.suffix == ".db":
            append(path, event)
        else:
            with path.open("ab") as file:
                file.write(encode(event) + b"\n")
    return path


def said(text: str, is_final: bool = True) -> Transcript:
    return Transcript(text=text, is_final=is_final)


@pytest.mark.parametrize("name", ["calls.jsonl", "calls.db"])
def test_stored_scores_of_the_query_alone_are_printed_best_first(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(
        tmp_path / name,
        ("a", 1.0, QueryScore(query="tense | relaxed", score=0.2, is_final=True)),
        ("b", 61.0, QueryScore(query="tense | relaxed", score=0.4, is_final=True)),
        ("b", 65.0, QueryScore(query="tense | relaxed", score=0.9)),
        ("b", 67.0, QueryScore(query="cheerful", score=0.8, is_final=True)),
        ("b", 61.0, said(ANGRY)),
    )
    done = call(capsys, "search", path, "tense  |relaxed")
    assert done.code == 0, done.err
    assert [line.split() for line in done.out.splitlines()] == [
        ["+0.400", "1:01.0", "1:03.0", str(path), "b", "0"],
        ["+0.200", "0:01.0", "0:03.0", str(path), "a", "0"],
    ]
    assert call(capsys, "search", path, "tense | relaxed", "--top", "1").out.count("\n") == 1


def test_final_transcripts_are_held_against_the_query_where_no_score_is_stored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "ModelStore", FakeStore)
    path = write(
        tmp_path / "calls.jsonl",
        ("a", 1.0, said("all is quiet")),
        ("a", 5.0, said("loud, but not over", is_final=False)),
        ("b", 9.0, said("it is loud here")),
        ("b", 12.0, said("")),
    )
    done = call(capsys, "search", path, "loud | quiet")
    assert done.code == 0, done.err
    found = [line.split() for line in done.out.splitlines()]
    placed = [(words[0], words[1], words[-2]) for words in found]
    assert placed == [("+1.000", "0:09.0", "b"), ("-1.000", "0:01.0", "a")]


def test_what_the_real_encoder_takes_for_alike_comes_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tokenizers", reason="the extra rtemo[meaning] is not installed")
    try:
        find("minilm").read_files()
    except MissingFileError as error:
        pytest.skip(str(error))
    path = write(tmp_path / "calls.db", ("a", 1.0, said(THANKS)), ("b", 5.0, said(ANGRY)))
    for query, first in (("a customer who demands a refund", "b"), ("someone grateful", "a")):
        done = call(capsys, "search", path, query)
        assert done.code == 0, done.err
        assert done.out.splitlines()[0].split()[-2] == first


def test_a_file_that_holds_neither_and_one_that_is_not_there_are_a_line_each_and_the_others_are_searched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = write(tmp_path / "empty.jsonl", ("a", 1.0, SpeechStart(confidence=0.5)))
    assert "holds no final transcript, and no score of this query" in call(capsys, "search", empty, "tense").complaint
    full = write(tmp_path / "full.jsonl", ("a", 1.0, QueryScore(query="tense", score=0.2, is_final=True)))
    done = call(capsys, "search", empty, tmp_path / "gone.jsonl", full, "tense")
    assert done.code == 1
    assert done.out.count("\n") == 1
    assert [line.startswith("rtemo: ") for line in done.err.splitlines()] == [True, True]
    assert "gone.jsonl" in done.err


def test_a_query_that_describes_nothing_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "calls.jsonl", ("a", 1.0, said(THANKS)))
    assert "describes nothing" in call(capsys, "search", path, "a | b | c").complaint
