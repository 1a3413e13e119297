"""What `rtemo tune` fits to and what it keeps apart, and how a new last layer is fitted."""

from pathlib import Path

import numpy as np
import pytest

from rtemo.api import EMOTIONS, ConfigError
from rtemo.cli.evaluation.clips import Clip, Reading, read_clips
from rtemo.cli.tuning.head import choose, fit_head, start_of, temperature_of, turn_logits, unsure_below
from rtemo.cli.tuning.parts import class_names, divide, folds_of, kept_to_stop
from rtemo.cli.tuning.windows import Table
from tests.fakes.sounds import tone, write_sound

pytestmark = pytest.mark.unit


def clips(speakers: int, each: int, classes: tuple[str, ...] = ("bored", "angry")) -> list[Clip]:
    return [
        Clip(path=Path(f"{label}-{s}-{k}.wav"), label=label, speaker=f"s{s}")
        for label in classes
        for s in range(speakers)
        for k in range(each)
    ]


def table(labels: np.ndarray, gap: float, seed: int) -> Table:
    """Two windows of each clip; 40 values, in the first of which the classes differ, and logits that say nothing."""
    random = np.random.default_rng(seed)
    turn = np.repeat(np.arange(len(labels)), 2)
    features = random.standard_normal((len(turn), 40))
    features[:, 0] += gap * labels[turn]
    logits = random.standard_normal((len(turn), 3))
    shares = np.tile([1.0, 0.5], len(labels))
    return Table(features.astype("f4"), logits.astype("f4"), shares, turn, np.arange(len(labels)))


def test_no_speaker_is_fitted_to_and_measured_on() -> None:
    parts = divide(clips(12, 3))
    assert parts.is_by_speaker
    fitted, held = ({clip.speaker for clip in part} for part in (parts.fitted, parts.held_out))
    assert not fitted & held
    assert len(fitted | held) == 12
    assert 0.15 <= len(parts.held_out) / 72 <= 0.5
    assert {clip.label for clip in parts.held_out} == {"bored", "angry"}
    assert divide(clips(12, 3)) == parts, "the same every time"


def test_two_speakers_are_one_for_each_side() -> None:
    parts = divide(clips(2, 10))
    assert [len({clip.speaker for clip in part}) for part in (parts.fitted, parts.held_out)] == [1, 1]


def test_one_speaker_with_most_of_the_clips_does_not_speak_for_all_others() -> None:
    loud = [Clip(path=Path(f"x{k}.wav"), label=("bored", "angry")[k % 2], speaker="loud") for k in range(100)]
    parts = divide([*loud, *clips(30, 3)])
    assert "loud" not in {clip.speaker for clip in parts.held_out}
    assert len({clip.speaker for clip in parts.held_out}) >= 8


def test_where_speakers_are_not_known_clips_of_every_class_are_kept_apart() -> None:
    unknown = [Clip(path=clip.path, label=clip.label) for clip in clips(10, 2)]
    parts = divide(unknown)
    assert not parts.is_by_speaker
    assert {clip.label for clip in parts.held_out} == {clip.label for clip in parts.fitted} == {"bored", "angry"}


def test_a_split_of_the_user_that_divides_a_speaker_is_refused() -> None:
    every = clips(3, 4)
    with pytest.raises(ConfigError, match="speakers are in the split 'dev' and outside of it"):
        divide(every, "dev", every[:2])


def test_emotions_come_first_and_in_their_order_and_other_classes_follow_by_name() -> None:
    assert class_names(clips(3, 4, ("zeal", "sad", "bored", "happy")), EMOTIONS) == ("happy", "sad", "bored", "zeal")


def test_one_class_or_a_class_of_hardly_any_clips_is_refused_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match="all 12 clips are called 'bored', so there is nothing to tell apart"):
        class_names(clips(3, 4, ("bored",)), EMOTIONS)
    with pytest.raises(ConfigError, match="too few are of: sad 3; add clips"):
        class_names([*clips(3, 4), *clips(3, 1, ("sad",))], EMOTIONS)


def test_a_fold_holds_whole_groups_and_folds_are_about_as_large() -> None:
    groups = [f"s{k % 7}" for k in range(70)]
    folds = folds_of(groups, 5)
    assert all(len({int(f) for f, g in zip(folds, groups, strict=True) if g == name}) == 1 for name in set(groups))
    assert np.bincount(folds).max() <= 20
    assert set(folds_of(["a", "b", "a"], 5)) == {0, 1}


def test_free_labels_keep_their_names_and_speakers_come_from_folders(tmp_path: Path) -> None:
    for name in ("Anger/anna/1.wav", "very  bored/ben/1.wav", "unsure/1.wav", "left/1.wav", "also/1.wav"):
        (tmp_path / name).parent.mkdir(parents=True)
        write_sound(tmp_path / name, tone(0.1, 8000), 8000)
    found = read_clips(tmp_path, Reading(labels={"left": "", "also": "very bored"}, is_free=True))
    assert {(c.label, c.speaker) for c in found.clips} == {("angry", "anna"), ("very bored", "ben"), ("very bored", "")}
    assert ["'unsure' (1 times) cannot name a class" in problem for problem in found.problems] == [True]


def test_a_head_finds_the_one_value_that_tells_classes_apart_and_says_so_of_voices_it_never_heard() -> None:
    labels = np.arange(80) % 2
    found = table(labels, 4.0, seed=1)
    start = np.zeros((3, 2))
    head = fit_head(found, labels, start, 0.03, np.ones(160, np.bool_))
    other = table(labels, 4.0, seed=2)
    said = turn_logits(other, head.hear(other)).argmax(1)
    assert (said == labels).mean() > 0.85
    assert np.abs(head.from_features[:, 1] - head.from_features[:, 0]).argmax() == 0


def test_where_the_clips_tell_nothing_the_bundles_own_word_stays() -> None:
    random = np.random.default_rng(4)
    labels = np.arange(60) % 3
    found = table(labels, 0.0, seed=4)
    own = np.eye(3)[labels[found.turn]] * 2 + 0.5 * random.standard_normal((120, 3))
    found = found._replace(logits=own.astype("f4"))
    classes = ("happy", "sad", "angry")
    choice = choose(found, labels, start_of(classes, classes, 1.0), np.arange(60) % 5)
    assert choice.strength >= 0.3, "the features are hardly used"
    assert (choice.logits.argmax(1) == labels).mean() > 0.95


def test_the_temperature_makes_confidence_true() -> None:
    random = np.random.default_rng(6)
    truth = random.integers(3, size=4000)
    logits = np.eye(3)[truth] * 1.5 + random.gumbel(size=(4000, 3))
    fair = temperature_of(logits, truth, np.ones(4000))
    assert temperature_of(3 * logits, truth, np.ones(4000)) == pytest.approx(3 * fair, rel=0.1)


def test_unsure_begins_where_the_surer_turns_are_right_often_enough() -> None:
    random = np.random.default_rng(7)
    truth = random.integers(2, size=2000)
    logits = np.eye(2)[truth] * 1.2 + random.gumbel(size=(2000, 2))
    below = unsure_below(logits, truth)
    odds = np.exp(logits - logits.max(1, keepdims=True))
    confidence = odds.max(1) / odds.sum(1)
    kept = confidence >= below
    assert 0.55 < kept.mean() < 1.0
    assert (logits.argmax(1) == truth)[kept].mean() >= 0.79
    assert unsure_below(10 * np.eye(2)[truth], truth) == 0.0, "nothing is unsure where all is right"


def test_logits_of_a_turn_are_added_up_as_the_plugin_adds_them() -> None:
    found = Table(
        np.zeros((3, 1), "f4"), np.zeros((3, 1), "f4"), np.array([1.0, 0.6, 0.5]), np.zeros(3, int), np.zeros(1, int)
    )
    said = turn_logits(found, np.array([[1.0], [2.0], [4.0]]))
    assert said[0, 0] == pytest.approx(0.5 * 4 + 0.5 * (0.6 * 2 + 0.4 * 1))


def test_speakers_by_which_it_is_told_when_to_stop_are_whole_and_have_every_class() -> None:
    every = clips(8, 4)
    held = kept_to_stop(every, ("angry", "bored"), True)
    both = [{clip.speaker for clip, is_held in zip(every, held, strict=True) if is_held == side} for side in (0, 1)]
    assert not both[0] & both[1]
    assert both[1]


def test_without_speakers_enough_or_with_a_class_of_one_speaker_alone_layers_are_not_tuned() -> None:
    with pytest.raises(ConfigError, match="--lora needs three speakers or more, known by name"):
        kept_to_stop(clips(1, 20), ("angry", "bored"), True)
    with pytest.raises(ConfigError, match="--lora needs three speakers or more, known by name"):
        kept_to_stop(clips(6, 4), ("angry", "bored"), False)
    rare = [Clip(path=Path(f"r{k}.wav"), label="keen", speaker="s0") for k in range(8)]
    with pytest.raises(ConfigError, match="--lora finds no speaker with clips of keen to "):
        kept_to_stop([*clips(6, 4), *rare], ("angry", "bored", "keen"), True)
