"""Turns are handed out so that each gets its raters, and gold turns tell who listens."""

from collections import Counter

import pytest

from rtemo.api import ConfigError
from rtemo.corpus.page.desk import RatingDesk
from rtemo.corpus.page.links import tokens_of
from rtemo.corpus.raters import LEAST_GOLD
from rtemo.corpus.ratings import Rating, ratings_of

pytestmark = pytest.mark.unit

CLIPS = [f"0000_{number:04d}" for number in range(40)]


def answer(clip: str, primary: str = "Sad", arousal: int = 2) -> Rating:
    return Rating(clip=clip, primary=primary, valence=3, arousal=arousal, dominance=3)


def test_begun_turns_come_first_so_that_they_are_finished_soon(tmp_path):
    desk = RatingDesk(CLIPS, ratings_of(tmp_path), wanted=5)
    for rater in "abcdefgh":
        for _ in range(10):
            assert desk.take(rater, answer(desk.next(rater).clip)) == ""
    counts = Counter(one.rating.clip for one in ratings_of(tmp_path))
    assert sorted(counts.values()) == [3] * 10 + [5] * 10  # of forty turns twenty were begun, and ten are done
    assert desk.finished == 10


def test_raters_who_begin_at_once_hear_different_turns(tmp_path):
    desk = RatingDesk(CLIPS, ratings_of(tmp_path), wanted=5)
    assert len({desk.next(f"rater{number}").clip for number in range(10)}) > 4


def test_gold_turns_are_mixed_in_and_who_sleeps_is_stopped(tmp_path):
    desk = RatingDesk(CLIPS, ratings_of(tmp_path), wanted=3, trusted=("anna",))
    for _ in range(8):
        desk.take("anna", answer(desk.next("anna").clip, "Angry", 6))
    gold = {one.rating.clip for one in ratings_of(tmp_path)}
    heard = []
    while (task := desk.next("asleep")).state == "rate":
        heard.append(task.clip in gold)
        desk.take("asleep", answer(task.clip, "Happy", 1))
    assert desk.next("asleep").state == "stopped"
    assert sum(heard) >= LEAST_GOLD
    assert desk.take("asleep", answer(CLIPS[0])) != ""
    task = desk.next("careful")
    assert task.left > 0  # what the stopped rater said does not fill any turn


def test_going_back_shows_what_was_said_and_a_new_answer_replaces_it(tmp_path):
    desk = RatingDesk(CLIPS, ratings_of(tmp_path), wanted=5)
    assert desk.earlier("a", desk.next("a").clip) is None
    first = desk.next("a").clip
    desk.take("a", answer(first))
    second = desk.next("a").clip
    desk.take("a", answer(second))
    assert desk.earlier("a", desk.next("a").clip).clip == second
    back = desk.earlier("a", second)
    assert (back.clip, back.before.primary) == (first, "Sad")
    assert desk.earlier("a", first) is None
    desk.take("a", answer(first, "Fear"))
    assert [one.rating.primary for one in ratings_of(tmp_path) if one.rating.clip == first] == ["Fear"]
    assert desk.next("a").done == 2


def test_links_stay_good_and_are_their_owners_alone(tmp_path):
    first = tokens_of(tmp_path, ("anna", "ben"))
    assert tokens_of(tmp_path, ("ben", "carl"))["anna"] == first["anna"]
    assert len(set(tokens_of(tmp_path).values())) == 3
    assert (tmp_path / "raters.toml").stat().st_mode & 0o777 == 0o600
    (tmp_path / "raters.toml").write_text("nonsense")
    with pytest.raises(ConfigError, match="makes no sense"):
        tokens_of(tmp_path)
