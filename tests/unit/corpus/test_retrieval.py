"""What is chosen is balanced, stays chosen, and the control set is drawn without a look at it."""

from collections import Counter

import numpy as np
import pytest

from rtemo.corpus.retrieval import DRAWN, FUSED, QUERIES, Candidate, criteria_of, retrieve
from rtemo.corpus.splits import CONTROL, SPLITS, assign_splits, groups_of
from rtemo.corpus.stages import Opinion

pytestmark = pytest.mark.unit

SHARES = (0.6, 0.15, 0.15, 0.1)
EMOTIONS = ("neutral", "happy", "sad", "angry")


def corpus(turns: int, seed: int = 0):
    """Turns of forty speakers, two thirds neutral; two recognisers are right most of the time."""
    random = np.random.default_rng(seed)
    splits = assign_splits(
        dict.fromkeys(range(1, 41), 60.0), {k: ("Male", "Female")[k % 2] for k in range(1, 41)}, SHARES, 0
    )
    candidates, truth = [], {}
    said: dict[str, dict[str, Opinion]] = {"one": {}, "other": {}}
    for number in range(turns):
        unit, speaker = f"0000_{number:04d}", int(random.integers(1, 41))
        truth[unit] = str(random.choice(EMOTIONS, p=(0.64, 0.12, 0.12, 0.12)))
        gender = ("Male", "Female")[speaker % 2]
        candidates.append(Candidate(unit=unit, speaker=speaker, gender=gender, split=splits[speaker]))
        for opinions in said.values():
            scores = {name: float(random.random() + (name == truth[unit])) for name in EMOTIONS}
            opinions[unit] = Opinion(unit=unit, probabilities={k: v / sum(scores.values()) for k, v in scores.items()})
    return candidates, said, truth


def test_rare_emotions_are_found_far_more_often_than_by_chance():
    candidates, said, truth = corpus(2000)
    picks = retrieve(candidates, said, 300, SHARES, seed=0)
    assert len(picks) == 300
    for emotion in ("happy", "sad", "angry"):
        right = [truth[pick.unit] == emotion for pick in picks if pick.target == emotion]
        assert np.mean(right) > 0.7  # by chance .12


def test_genders_and_targets_have_equal_shares_and_no_speaker_prevails():
    candidates, said, _ = corpus(2000)
    picks = [pick for pick in retrieve(candidates, said, 300, SHARES, seed=0) if pick.split == "Train"]
    cells = Counter((pick.target, pick.gender) for pick in picks)
    assert max(cells.values()) - min(cells.values()) <= 1
    speakers = Counter(pick.speaker for pick in picks)
    assert (
        max(speakers.values()) <= 2 * len(picks) / len({one.speaker for one in candidates if one.split == "Train"}) + 1
    )


def test_the_control_set_is_drawn_whatever_recognisers_say():
    candidates, said, _ = corpus(1000)
    control = [pick for pick in retrieve(candidates, said, 200, SHARES, seed=0) if pick.split == CONTROL]
    turned = {
        name: {unit: Opinion(unit=unit, probabilities={"sad": 1.0}) for unit in opinions}
        for name, opinions in said.items()
    }
    other = [pick for pick in retrieve(candidates, turned, 200, SHARES, seed=0) if pick.split == CONTROL]
    assert control == other
    assert {(pick.target, pick.criterion) for pick in control} == {("", DRAWN)}
    assert len(control) == 20


def test_what_was_chosen_stays_when_more_is_wanted():
    candidates, said, _ = corpus(1000)
    first = retrieve(candidates, said, 100, SHARES, seed=0)
    more = retrieve(candidates, said, 200, SHARES, seed=0, before=first)
    assert more[: len(first)] == first
    assert len({pick.unit for pick in more}) == len(more) == 200
    assert retrieve(candidates, said, 100, SHARES, seed=0, before=first) == first


def test_where_there_is_less_than_wanted_all_is_taken_once():
    candidates, said, _ = corpus(50)
    picks = retrieve(candidates, said, 5000, SHARES, seed=0)
    assert sorted(pick.unit for pick in picks) == sorted(one.unit for one in candidates)


def test_without_any_recogniser_turns_are_drawn():
    candidates, _, _ = corpus(200)
    picks = retrieve(candidates, {}, 50, SHARES, seed=0)
    assert len(picks) == 50
    assert {pick.criterion for pick in picks} == {DRAWN}


def test_a_query_is_a_criterion_of_its_own_and_ranks_are_joined():
    opinions = {
        "ears": {u: Opinion(unit=u, probabilities={"angry": p}) for u, p in (("a", 0.9), ("b", 0.5), ("c", 0.1))},
        "text": {u: Opinion(unit=u, queries={QUERIES["angry"]: s}) for u, s in (("a", 0.1), ("b", 0.4), ("c", -0.2))},
    }
    found = criteria_of(opinions, ["a", "b", "c"])["angry"]
    assert set(found) == {"ears", f"text: {QUERIES['angry']}", FUSED}
    assert found[FUSED] == {"a": 0.75, "b": 0.75, "c": 0.0}


def test_splits_have_their_shares_of_each_gender_and_whole_speakers():
    random = np.random.default_rng(0)
    seconds = {speaker: float(random.exponential(60.0)) + 5 for speaker in range(1, 201)}
    genders = {speaker: ("Male", "Female", "Unknown")[speaker % 3] for speaker in seconds}
    splits = assign_splits(seconds, genders, SHARES, seed=0)
    assert set(splits) == set(seconds)
    for gender in ("Male", "Female", "Unknown"):
        total = sum(s for speaker, s in seconds.items() if genders[speaker] == gender)
        for split, share in zip(SPLITS, SHARES, strict=True):
            held = sum(s for speaker, s in seconds.items() if genders[speaker] == gender and splits[speaker] == split)
            assert held / total == pytest.approx(share, abs=0.06)


def test_nobody_changes_the_split_when_new_speakers_come():
    genders = dict.fromkeys(range(1, 31), "Male")
    first = assign_splits(dict.fromkeys(range(1, 11), 60.0), genders, SHARES, seed=0)
    more = assign_splits(dict.fromkeys(range(1, 31), 60.0), genders, SHARES, seed=0, kept=first)
    assert {speaker: more[speaker] for speaker in first} == first
    assert set(more.values()) == set(SPLITS)


def test_recordings_that_share_a_speaker_are_never_parted():
    groups = groups_of([[1, 2], [3], [4, 2], [5, 6], [6]])
    assert groups == {1: 1, 2: 1, 3: 3, 4: 1, 5: 5, 6: 5}
