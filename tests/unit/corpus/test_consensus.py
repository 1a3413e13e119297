"""What raters say together, who of them counts, and the corpus that comes of it, read by other people's readers."""

import csv

import numpy as np
import pytest
import soundfile

from rtemo.api import ConfigError
from rtemo.corpus.consensus import agreement_of, by_clip, consensus_of
from rtemo.corpus.export import export_corpus
from rtemo.corpus.raters import LEAST_GOLD, quality_of, screened_out
from rtemo.corpus.ratings import PRIMARY, Rated, Rating, rated_unit, ratings_of
from rtemo.corpus.recordings import Recording
from rtemo.corpus.retrieval import Pick
from rtemo.corpus.selection import Selection
from rtemo.corpus.settings import CorpusSettings
from rtemo.corpus.stages import Books, Gated, Written
from rtemo_models.kit.corpora.msp_podcast import read_msp_podcast

pytestmark = pytest.mark.unit


def rated(rater: str, clip: str, primary: str = "Neutral", valence: int = 4, arousal: int = 4, **more) -> Rated:
    rating = Rating(clip=clip, primary=primary, valence=valence, arousal=arousal, dominance=4, **more)
    return Rated(unit=rated_unit(rater, clip), rater=rater, rating=rating)


def test_the_plurality_wins_and_a_tie_is_no_agreement():
    said = consensus_of([rated("a", "x", "Sad"), rated("b", "x", "Sad"), rated("c", "x", "Angry", valence=1)])
    assert (said.letter, said.raters) == ("S", 3)
    assert said.means["valence"] == 3.0
    assert said.shares["Sad"] == pytest.approx(2 / 3)
    assert sum(said.shares.values()) == pytest.approx(1.0)
    assert consensus_of([rated("a", "x", "Sad"), rated("b", "x", "Angry")]).letter == "X"
    assert consensus_of([rated("a", "x", "Other")]).letter == "O"


def test_agreement_is_told_with_all_its_numbers_and_of_one_rater_none():
    random = np.random.default_rng(0)
    ratings = []
    for clip in range(200):
        truth = int(random.integers(1, 8))
        for rater in "abcde":
            value = int(np.clip(round(truth + random.normal(0, 1.0)), 1, 7))
            ratings.append(
                rated(rater, f"{clip}", PRIMARY[truth % 3], valence=value, arousal=int(random.integers(1, 8)))
            )
    found = agreement_of(by_clip(ratings))
    assert (found.turns, found.ratings, found.kappa) == (200, 1000, 1.0)
    assert found.alpha["valence"] == pytest.approx(0.78, abs=0.04)  # variances 3.6 (cut at the ends) and 1
    assert found.alpha["arousal"] == pytest.approx(0.0, abs=0.04)
    assert found.alpha["dominance"] is None  # everybody said 4
    assert agreement_of(by_clip(ratings, "bcde")).kappa is None


def test_a_rater_who_misses_gold_turns_does_not_count_and_a_careful_one_does():
    ratings = [rated("anna", f"{k}", "Angry", arousal=6) for k in range(LEAST_GOLD)]
    ratings += [rated("careful", f"{k}", "Angry", arousal=5) for k in range(LEAST_GOLD)]
    ratings += [rated("asleep", f"{k}", "Happy", valence=1, arousal=1) for k in range(LEAST_GOLD)]
    ratings += [rated("new", f"{k}", "Happy", valence=1, arousal=1) for k in range(LEAST_GOLD - 1)]
    assert screened_out(ratings, ["anna"]) == ["asleep"]
    assert screened_out(ratings, []) == []
    quality = {one.rater: one for one in quality_of(ratings, ["anna"])}
    assert quality["careful"].gold_right == 1.0
    assert quality["asleep"].is_screened_out
    assert quality["asleep"].monotony == 1.0
    assert quality["anna"].gold == 0


def test_a_second_rating_of_a_turn_replaces_the_first(tmp_path):
    ledger = ratings_of(tmp_path)
    ledger.add(rated("a", "x", "Sad"))
    ledger.add(rated("a", "x", "Happy"), rated("b", "x"))
    assert sorted(one.rating.primary for one in ratings_of(tmp_path)) == ["Happy", "Neutral"]


def finished(folder, turns: int = 6) -> tuple[Books, Selection]:
    books = Books(folder)
    books.recordings.add(Recording(unit="0000", path="a.wav", below="a.wav", licence="CC BY 4.0", source="A talk"))
    books.recordings.add(Recording(unit="0001", path="b.wav", below="b.wav"))
    picks = []
    for k in range(turns):
        unit = f"000{k % 2}_{k:04d}"
        books.gated.add(Gated(unit=unit, start=16_000 * k, end=16_000 * k + 48_000, speaker=k % 2 + 1))
        books.written.add(Written(unit=unit, text=f"so this is turn {k}"))
        books.clip_path(unit).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(books.clip_path(unit), np.zeros(48_000), 16_000)
        split = ("Train", "Test2")[k % 2]
        picks.append(Pick(unit=unit, speaker=k % 2 + 1, gender=("Male", "Female")[k % 2], split=split, target="sad"))
    return books, Selection(picks=picks, wanted=turns)


def five(clip: str, *primaries: str) -> list[Rated]:
    return [rated(f"r{k}", clip, primary, valence=2 + k % 2) for k, primary in enumerate(primaries)]


def test_the_finished_corpus_is_read_by_the_reader_of_msp_podcast(tmp_path):
    books, selection = finished(tmp_path / "work")
    ratings = five("0000_0000", *["Sad"] * 4, "Angry") + five("0001_0001", *["Happy"] * 2, *["Fear"] * 2, "Other")
    ratings += five("0000_0002", "Sad")  # too few
    found = export_corpus(books, CorpusSettings(), selection, ratings, tmp_path / "out")
    assert (found.turns, found.left_out, found.unlicensed) == (2, {"too few raters": 4}, ["0001"])
    corpus = read_msp_podcast(tmp_path / "out")
    by_name = {clip.path.rpartition("_")[2]: clip for clip in corpus.clips}
    sad, undecided = by_name["0000.wav"], by_name["0001.wav"]
    assert (sad.emotion, sad.speaker, sad.split, sad.gender) == ("sad", "msp_podcast-1", "train", "M")
    assert sad.text == "so this is turn 0"
    assert sum(sad.votes) == 5
    assert (undecided.emotion, undecided.split) == ("", "test")


def test_the_tables_have_the_columns_that_official_loaders_ask_for(tmp_path):
    """Those of msplabresearch/MSP-Podcast_Challenge, utils/data/podcast.py and process_labels_for_categorical.py."""
    books, selection = finished(tmp_path / "work")
    export_corpus(books, CorpusSettings(), selection, five("0000_0000", *["Sad"] * 5), tmp_path / "out")
    with (tmp_path / "out" / "Labels" / "labels_consensus.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    columns = ["FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set"]
    assert list(row) == columns
    assert int(row["SpkrID"]) == 1  # they turn it into a number
    assert (row["EmoClass"], float(row["EmoVal"]), row["Split_Set"]) == ("S", 2.4, "Train")
    with (tmp_path / "out" / "Labels" / "labels_soft.csv").open(newline="") as file:
        (soft,) = csv.DictReader(file)
    emotions = ["Angry", "Sad", "Happy", "Surprise", "Fear", "Disgust", "Contempt", "Neutral"]
    assert [float(soft[name]) for name in emotions] == [0, 1, 0, 0, 0, 0, 0, 0]
    with (tmp_path / "out" / "sources.csv").open(newline="") as file:
        (source,) = csv.DictReader(file)
    assert (source["Licence"], source["Source"], source["Start_s"]) == ("CC BY 4.0", "A talk", "0.000")


def test_unrated_turns_can_be_had_without_labels_and_an_export_again_replaces_the_first(tmp_path):
    books, selection = finished(tmp_path / "work")
    for _ in range(2):
        found = export_corpus(books, CorpusSettings(), selection, [], tmp_path / "out", with_unrated=True)
    assert found.turns == 6
    assert len(read_msp_podcast(tmp_path / "out").clips) == 6
    assert {clip.emotion for clip in read_msp_podcast(tmp_path / "out").clips} == {""}
    assert not list((tmp_path / "out").rglob("*.part"))


def test_an_export_of_nothing_says_what_to_do(tmp_path):
    books, selection = finished(tmp_path / "work")
    with pytest.raises(ConfigError, match="rtemo corpus rate"):
        export_corpus(books, CorpusSettings(), selection, [], tmp_path / "out")
    with pytest.raises(ConfigError, match="rtemo corpus build"):
        export_corpus(books, CorpusSettings(), Selection(), [], tmp_path / "out")


def test_a_rating_out_of_its_scale_or_list_is_refused():
    assert "Bored" in Rating(clip="x", primary="Bored", valence=1, arousal=1, dominance=1).fault()
    assert Rating(clip="x", primary="Sad", secondary=("Sad", "Sad"), valence=1, arousal=1, dominance=1).fault()
    assert not Rating(clip="x", primary="Sad", secondary=("Sad", "Annoyed"), valence=1, arousal=1, dominance=1).fault()
