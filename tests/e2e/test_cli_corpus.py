"""`rtemo corpus`, from a folder of recordings to a corpus that our own reader reads."""

import json
import os
import signal
import time

import pytest
import soundfile

pytest.importorskip("scipy", reason="the extra `corpus` is not installed")

from rtemo.testing.voice import voice
from rtemo_models.kit.corpora.msp_podcast import read_msp_podcast
from tests.fakes.program import call, start

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    for seed in (1, 2):
        soundfile.write(folder / f"talk{seed}.wav", voice(20, seed=seed), 16_000)
    (folder / "sources.csv").write_text("path,licence,source\ntalk1.wav,CC BY 4.0,A made-up talk\n")
    return folder


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("corpus") / "work"


def build(capsys, recordings, work, *more):
    options = ("--turns", 10, "--least-words", 0, "--recogniser", "merit", "--sources", recordings / "sources.csv")
    return call(capsys, "corpus", "build", recordings, "--work", work, *options, *more)


def test_a_folder_becomes_a_corpus_that_is_read_by_the_reader_of_msp_podcast(capsys, recordings, work, tmp_path):
    built = build(capsys, recordings, work)
    assert built.code == 0, built.err
    assert "retrieve" in built.out
    again = build(capsys, recordings, work)
    assert again.out == built.out  # nothing is left to do, and nothing is done
    rows = {row["stage"]: row for row in json.loads(call(capsys, "corpus", "status", work, "--json").out)}
    assert rows["recordings"]["kept"] == 2
    assert rows["retrieve"]["kept"] == rows["recognise"]["kept"] > 2
    assert all(row["waiting"] == 0 for row in rows.values())

    nothing = call(capsys, "corpus", "export", work, "--out", tmp_path / "out")
    assert nothing.code == 2
    assert "none of the" in nothing.complaint
    done = call(capsys, "corpus", "export", work, "--out", tmp_path / "out", "--with-unrated")
    assert done.code == 0
    assert "of 1 recordings no licence is known" in done.err
    corpus = read_msp_podcast(tmp_path / "out")
    assert len(corpus.clips) == rows["retrieve"]["kept"]
    assert "CC BY 4.0" in (tmp_path / "out" / "sources.csv").read_text()


def test_a_corpus_is_not_gone_on_with_under_other_settings(capsys, recordings, work):
    build(capsys, recordings, work)
    other = build(capsys, recordings, work, "--least-snr-db", 20)
    assert other.code == 2
    assert "least_snr_db = 15.0" in other.complaint


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("build", "/nowhere/at/all", "--work", "{work}"), ""),
        (("build", "/etc/passwd", "--work", "/etc/passwd"), "/etc/passwd cannot be used (File exists)"),
        (("build", "--work", "{work}"), "no sound file found in nothing"),
        (("status", "{work}"), "there is no corpus in"),
        (("export", "{work}", "--out", "{work}/out"), "there is no corpus in"),
        (("build", "{work}", "--work", "{work}", "--prefix", "a_b"), "prefix"),
        (("build", "{work}", "--work", "{work}", "--recogniser", "nobody"), "nobody"),
        (("build", "{work}", "--work", "{work}", "--sources", "{work}/none.csv"), "cannot be read"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(capsys, tmp_path, arguments, said):
    done = call(capsys, "corpus", *(word.format(work=tmp_path) for word in arguments))
    assert done.code in (1, 2)
    assert "Traceback" not in done.err
    assert said in done.err


@pytest.mark.heavy
@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL")
def test_a_command_that_is_killed_holds_nothing_back_and_ends_the_same_when_it_is_given_again(
    capsys, recordings, work, tmp_path
):
    whole = build(capsys, recordings, work)
    options = ("--turns", 10, "--least-words", 0, "--recogniser", "merit", "--sources", recordings / "sources.csv")
    for waited_for in ("diarised", "gated", "opinions"):
        running = start("corpus", "build", recordings, "--work", tmp_path / "work", *options)
        while not list((tmp_path / "work" / "ledgers").glob(f"{waited_for}*")):
            assert running.poll() is None, running.stderr.read()
            time.sleep(0.01)
        running.kill()
        running.communicate()
    again = build(capsys, recordings, tmp_path / "work")
    assert (again.code, again.out) == (0, whole.out)
    assert (tmp_path / "work" / "ledgers" / "gated.jsonl").read_bytes() == (
        work / "ledgers" / "gated.jsonl"
    ).read_bytes()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_build_that_is_stopped_says_so_and_how_to_go_on(recordings, tmp_path, number, status):
    work = tmp_path / "work"
    running = start("corpus", "build", recordings, "--work", work, "--recogniser", "merit")
    while not list((work / "ledgers").glob("recordings*")):
        assert running.poll() is None, running.stderr.read()
        time.sleep(0.01)
    running.send_signal(number)
    _, err = running.communicate(timeout=30)
    assert (running.returncode, err.splitlines()[-1]) == (
        status,
        f"rtemo: stopped; the same command goes on where it was ({work})",
    )
    assert "Traceback" not in err
    assert not list(work.rglob("*.part"))
