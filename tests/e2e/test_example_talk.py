"""The assistant that runs offline, with a virtual microphone and a virtual loudspeaker."""

import ast
import json
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import rtemo
from rtemo import Turn
from rtemo.api import Emotion, RtemoError, Transcript
from rtemo.integrations.annotation import annotate
from rtemo.runtime import ModelStore
from rtemo.voice.espeak import find_espeak
from tests.fakes import pulse
from tests.fakes.pulse import SPEAKER, PulseServer
from tests.fakes.sounds import write_sound
from tests.fakes.voice import RATE_HZ, voice

EXAMPLES = Path(__file__).parents[2] / "examples"


def why_mute() -> str:
    try:
        ModelStore().voice("kokoro")
        find_espeak()
    except RtemoError as error:
        return str(error)
    return ""


pytestmark = [
    pytest.mark.timed,
    pytest.mark.e2e,
    pytest.mark.device,
    pytest.mark.heavy,
    pytest.mark.skipif(bool(pulse.why_missing()), reason=pulse.why_missing()),
]


@pytest.fixture
def server() -> Iterator[PulseServer]:
    if reason := why_mute():
        pytest.skip(reason)
    made = PulseServer()
    try:
        made.start()
        yield made
    finally:
        made.close()


def test_the_file_is_one_that_can_be_read_at_once() -> None:
    assert len((EXAMPLES / "talk.py").read_text().splitlines()) <= 80


def test_who_speaks_into_the_microphone_is_answered_aloud(server: PulseServer, tmp_path: Path) -> None:
    sound = np.concatenate([np.zeros(RATE_HZ), voice(3.0, seed=4), np.zeros(2 * RATE_HZ)]).astype(np.float32)
    speech = write_sound(tmp_path / "speech.wav", sound, RATE_HZ)
    recorder = server.record(tmp_path / "answer.raw")
    process = server.python([str(EXAMPLES / "talk.py"), "--once"], {"PULSE_SINK": SPEAKER})
    assert process.stdout is not None
    assert process.stdout.readline() == "speak\n"
    player = server.play(speech)
    out, errors = process.communicate(timeout=90)
    player.wait()
    recorder.terminate()
    recorder.wait()
    assert process.returncode == 0, errors
    assert "\n> I" in out or "\n> That" in out
    answered = np.fromfile(tmp_path / "answer.raw", np.float32)
    assert np.abs(answered).max() > 0.05
    assert np.count_nonzero(np.abs(answered) > 0.01) > RATE_HZ // 10


class Model(BaseHTTPRequestHandler):
    """A language model that answers the same and keeps what it was asked."""

    asked: ClassVar[list[dict]] = []

    def do_POST(self) -> None:
        self.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        body = json.dumps({"choices": [{"message": {"content": "It is on its way."}}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Stay silent."""


def test_a_language_model_of_ones_own_is_told_the_mood_with_the_words(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = ast.parse((EXAMPLES / "talk.py").read_text())
    wanted = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "think"]
    web = HTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    try:

        class Options:
            llm = f"http://127.0.0.1:{web.server_port}/v1/chat/completions"
            model = "small"

        names: dict = {"options": Options, "annotate": annotate, "rtemo": rtemo, "json": json, "urllib": urllib}
        names["ANSWERS"] = {"*": "I see."}
        exec(compile(ast.Module(wanted, []), "talk.py", "exec"), names)
        mood = Emotion(
            label="angry",
            probabilities={"angry": 1.0},
            arousal=0.5,
            valence=-0.5,
            confidence=0.7,
            speech_s=2.0,
            trigger="turn_end",
            is_final=True,
        )
        turn = Turn(
            call="mic",
            channel="0",
            start_sample=0,
            end_sample=16_000,
            transcript=Transcript(text="Where is my parcel?", is_final=True),
            emotion=mood,
        )
        assert names["think"](turn) == "It is on its way."
        assert names["think"](Turn(call="mic", channel="0", start_sample=0, end_sample=1)) == "I see."
    finally:
        web.shutdown()
        web.server_close()
    (asked,) = Model.asked
    assert asked["model"] == "small"
    assert asked["messages"][-1]["content"] == "Where is my parcel? [caller sounds angry (70% sure)]"
