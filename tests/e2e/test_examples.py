"""Every example runs as its first line says."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

pytestmark = pytest.mark.e2e

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(*arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_embedding_example_prints_the_moods_of_the_call():
    lines = run(str(EXAMPLES / "embed.py")).splitlines()
    assert len(lines) >= 3
    assert all("arousal" in line for line in lines)


def test_assistant_example_hears_speech_begin_and_end_while_it_pushes():
    said = run(str(EXAMPLES / "assistant.py"))
    assert "speech_start" in said
    assert "speech_end" in said
    assert "emotion" in said


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_example_call_is_made_anew_as_it_lies_in_the_folder(tmp_path):
    run(str(EXAMPLES / "make_call.py"), "--out", str(tmp_path / "call.flac"))
    made, kept = soundfile.info(tmp_path / "call.flac"), soundfile.info(EXAMPLES / "call.flac")
    assert (made.samplerate, made.channels) == (kept.samplerate, kept.channels) == (8_000, 2)
    assert made.duration == pytest.approx(kept.duration, rel=0.1)  # versions of espeak-ng differ a little
    assert (EXAMPLES / "call.flac").stat().st_size < 1_000_000
