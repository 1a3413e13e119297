import importlib.machinery
import json
import shutil
import socket
import subprocess
import sys
import types

import pytest

from rtemo.runtime.store import find
from tests.fakes.program import ROOT, call, command
from tests.fakes.sounds import tone, write_sound
from tests.fakes.zmq_ends import free_ports_anywhere, wait_until

pytestmark = pytest.mark.e2e


def findings(capsys, *arguments):
    done = call(capsys, "doctor", "--no-mic", "--json", *arguments)
    return done.code, {finding["what"]: finding for finding in map(json.loads, done.out.splitlines())}


def test_everything_that_rtemo_needs_is_looked_at(capsys):
    code, found = findings(capsys)
    assert code == 0
    for what in (
        "python",
        "packages",
        "webrtcvad",
        "processors",
        "timer",
        "kernel cache",
        "configuration",
        "chain",
        "model merit-listen",
        "tick",
        "sound through",
        "libzmq",
        "CURVE",
        "publishers.zmq.events",
        "sources.zmq.endpoint",
    ):
        assert what in found, what
    assert "speech start" in found["sound through"]["detail"]
    assert all(finding["mend"] for finding in found.values() if finding["verdict"] != "pass")


def test_a_port_in_use_is_noted_with_its_mend(capsys, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        file = tmp_path / "rtemo.toml"
        file.write_text(f'chain = []\n[publish]\nevents = "tcp://127.0.0.1:{taken.getsockname()[1]}"\n')
        code, found = findings(capsys, "--config", file)
    assert code == 0
    assert found["publishers.zmq.events"]["verdict"] == "note"
    assert "in use" in found["publishers.zmq.events"]["detail"]
    assert found["publishers.zmq.events"]["mend"]


@pytest.fixture
def serving(tmp_path):
    """The configuration file of a server that runs: events, ingest and audio feed."""
    port = free_ports_anywhere(5)
    file = tmp_path / "rtemo.toml"
    file.write_text(
        f'chain = []\n[publishers.zmq]\nevents = "tcp://127.0.0.1:{port}"\n'
        f'[sources.zmq]\nendpoint = "tcp://127.0.0.1:{port + 3}"\n'
        f'[sinks.zmq]\nendpoint = "tcp://127.0.0.1:{port + 4}"\n'
    )
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command("serve", "--config", str(file)), cwd=ROOT, stdout=log, stderr=log)
    try:
        assert wait_until(lambda: not is_free(port) and not is_free(port + 4), 60), (tmp_path / "log").read_text()
        yield file
    finally:
        process.kill()
        process.wait()


def is_free(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_server_of_ours_that_runs_is_told_as_such_and_is_no_trouble(capsys, serving):
    code, found = findings(capsys, "--config", serving)
    assert code == 0
    for what in ("publishers.zmq.events", "sources.zmq.endpoint", "sinks.zmq.endpoint"):
        assert found[what]["verdict"] == "pass", found[what]
        assert found[what]["detail"].endswith("rtemo serves there now")


def test_a_typo_in_the_configuration_is_a_finding_and_the_rest_is_looked_at(capsys, tmp_path):
    file = tmp_path / "rtemo.toml"
    file.write_text("[engine]\ncapcity = 3\n")
    code, found = findings(capsys, "--config", file)
    assert code == 1
    assert found["configuration"]["mend"] == "did you mean 'capacity'?"
    assert found["webrtcvad"]["verdict"] == "pass"


@pytest.fixture
def damaged_bundle(tmp_path):
    """A copy of a bundle with one bit of its weights turned over."""
    bundle = find("merit-listen")
    folder = tmp_path / "bundle"
    folder.mkdir()
    shutil.copy(bundle.folder / "card.json", folder)
    weights = bytearray(bundle.weights_path().read_bytes())
    weights[len(weights) // 2] ^= 1
    (folder / bundle.card.weights).write_bytes(weights)
    return folder


def test_weights_that_are_not_those_of_the_card_stop_every_verb(capsys, tmp_path, damaged_bundle):
    file = tmp_path / "rtemo.toml"
    file.write_text(f'[plugins.merit]\nlisten_bundle = "{damaged_bundle}"\n')
    code, found = findings(capsys, "--config", file)
    assert code == 1
    assert "are not those of its card" in found["sound through"]["detail"]
    assert "are not those of its card" in call(capsys, "card", damaged_bundle, "--check").complaint
    sound = write_sound(tmp_path / "a.wav", tone(1.0, 16_000), 16_000)
    assert "are not those of its card" in call(capsys, "analyze", sound, "--config", file).complaint


def test_a_package_that_does_not_import_is_told_with_the_command_that_mends_it(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "webrtcvad", types.ModuleType("webrtcvad", "one without a detector"))
    sys.modules["webrtcvad"].__spec__ = importlib.machinery.ModuleSpec("webrtcvad", None)
    _, found = findings(capsys)
    assert found["webrtcvad"]["verdict"] == "fail"
    assert "pip install --force-reinstall webrtcvad-wheels" in found["webrtcvad"]["mend"]


def test_without_webrtcvad_everything_runs_but_the_option_that_names_it(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "webrtcvad", None)
    code, found = findings(capsys)
    assert code == 0
    assert found["webrtcvad"]["verdict"] == "note"
    file = tmp_path / "rtemo.toml"
    file.write_text('chain = ["vad"]\n[plugins.vad]\nback_end = "webrtc"\n')
    sound = write_sound(tmp_path / "a.wav", tone(1.0, 16_000), 16_000)
    assert "pip install webrtcvad-wheels" in call(capsys, "analyze", sound, "--config", file).complaint


def test_ticks_and_mends_are_printed_for_people(capsys, tmp_path):
    file = tmp_path / "rtemo.toml"
    file.write_text("chain = []\n")
    done = call(capsys, "doctor", "--no-mic", "--config", file)
    assert done.code == 0
    assert "✓ python" in done.out
    assert "\x1b" not in done.out
