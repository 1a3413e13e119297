import importlib
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rtemo.cli.checks.chain import tick
from rtemo.cli.main import EXIT_INTERRUPTED, VERBS, cli
from rtemo.cli.options import note_misspelt_roles
from rtemo.config import Config
from tests.fakes.program import call, command, start

pytestmark = pytest.mark.unit

_HELP = """
import sys
from rtemo.cli.main import main
try:
    main(["--help"])
except SystemExit:
    print(sorted({"numpy", "numba", "onnxruntime", "zmq", "rich", "msgspec", "sounddevice"} & set(sys.modules)))
"""


def test_help_imports_nothing_heavy():
    done = subprocess.run([sys.executable, "-c", _HELP], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_help_is_there_before_anybody_waits():
    best_s = 9.0
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "rtemo.cli.main", "--help"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # Its own time: what other programs do meanwhile is not its fault.
        best_s = min(best_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert best_s < 0.25


def test_help_lists_every_verb_and_the_caution(capsys):
    done = call(capsys, "--help")
    assert done.code == 0
    for name, verb in VERBS.items():
        assert name in done.out
        assert verb.summary in done.out
    text = " ".join(done.out.split())
    assert "estimates perceived vocal expression, not what a person feels" in text
    assert "People whose role is not listed in [policy], people at work above all, are not analysed" in text


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_explains_itself(capsys, name):
    command = importlib.import_module(VERBS[name].module).command
    assert command.name == name
    assert command is cli.get_command(None, name)
    done = call(capsys, name, "--help")
    assert done.code == 0
    assert f"Usage: rtemo {name}" in done.out


def test_without_arguments_the_help_is_shown(capsys):
    done = call(capsys)
    assert done.code == 0
    assert "Usage: rtemo" in done.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lisen"], "there is no command 'lisen'; did you mean 'listen'?"),
        (["frobnicate"], "there is no command 'frobnicate'; see rtemo --help"),
        (["--frob"], "No such option '--frob'; see rtemo --help"),
        (["bench", "--streams", "many"], "--streams got 'many', expected numbers from 1 to 4096"),
        (["bench", "--streams", "0"], "expected numbers from 1 to 4096"),
        (["analyze"], "Missing argument 'PATH...'; see rtemo analyze --help"),
        (["card", "emotoin"], "there is no model bundle 'emotoin'"),
        (["serve", "--source", "twillio"], "did you mean 'twilio'?"),
        (["serve", "--source", "twillio", "--source", "zmq"], "did you mean 'twilio'?"),
        (["card", "/no/such/folder"], "is not a model bundle"),
        (["plugins", "--chain", "levl"], "--chain: number 1 is 'levl', which is not installed; did you mean 'level'?"),
        (["config", "--set", "engine.capcity=3"], "unknown key engine.capcity; did you mean 'capacity'?"),
        (["config", "--config", "none.toml"], "--config names 'none.toml', which is not a file; correct the path"),
    ],
)
def test_a_mistake_gets_one_line_and_status_2(capsys, arguments, words):
    done = call(capsys, *arguments)
    assert done.code == 2
    assert words in done.complaint


def test_a_typo_in_the_file_is_named_with_the_file(capsys, tmp_path):
    file = tmp_path / "my.toml"
    file.write_text("[sources.microphone]\ndevise = 1\n")
    done = call(capsys, "devices", "--config", file)
    assert f"{file}: unknown key sources.microphone.devise; did you mean 'device'?" in done.complaint


def test_debug_shows_the_traceback():
    process = start("--debug", "config", "--set", "x=1")
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "Traceback" in err
    assert "unknown key x" in err


def test_a_reader_that_goes_away_ends_the_command_quietly():
    process = start("config")
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=30)
    assert err == ""
    assert process.returncode == 1


def test_a_full_disk_is_named():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command("version"), stdout=full, stderr=subprocess.PIPE, text=True, timeout=30, check=False
        )
    assert done.returncode == 2
    assert (
        done.stderr
        == "rtemo: the output cannot be written (No space left on device); make room or choose another place\n"
    )


def test_a_terminal_without_the_signs_gets_question_marks_instead_of_a_failure():
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    words = command("doctor", "--no-mic", "--config", "tests/unit/cli/none.toml")
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert done.returncode == 1
    assert "? python" in done.stdout


def test_a_closed_standard_output_is_no_failure():
    done = subprocess.run(
        [*command("version")], stderr=subprocess.PIPE, preexec_fn=lambda: os.close(1), text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_fault_of_ours_is_told_from_a_mistake_of_the_user(capsys, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("rtemo.config.render", fail)
    done = call(capsys, "config")
    assert done.code == 70
    assert "ZeroDivisionError: division by zero; this is a fault of rtemo" in done.complaint


def test_config_prints_what_it_reads(capsys, tmp_path):
    printed = call(capsys, "config")
    assert printed.code == 0
    file = tmp_path / "rtemo.toml"
    file.write_text(printed.out)
    again = call(capsys, "config", "--current", "--config", file)
    assert again.out == printed.out


def test_config_shows_what_is_in_force(capsys):
    done = call(
        capsys, "config", "--current", "--bare", "--set", "engine.capacity=7", "--set", "plugins.vad.hangover_ms=99"
    )
    assert "capacity = 7\n" in done.out
    assert "hangover_ms = 99.0\n" in done.out
    comments = [line for line in done.out.splitlines() if line.startswith("#")]
    assert all(line.endswith(" =") for line in comments), "only keys without a value are commented out"


def test_plugins_are_listed_in_the_order_of_the_chain(capsys):
    done = call(capsys, "plugins", "--json", "--chain", "vad,level")
    names = [json.loads(line)["name"] for line in done.out.splitlines()]
    assert names[:2] == ["vad", "level"]
    assert set(names) >= {"prosody", "merit"}
    table = call(capsys, "plugins").out
    for word in ("latency", "look-ahead", "provides", "requires", "vad"):
        assert word in table


def test_names_of_bundles_never_run_into_their_packages(capsys):
    lines = call(capsys, "plugins").out.splitlines()
    assert all("  (" in line for line in lines if line.endswith(")") and line.startswith("    ") and "-clap" in line)


def test_a_path_that_is_not_there_is_said_before_anything_is_loaded(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("rtemo.session.Session.__init__", None)  # would be called
    done = call(capsys, "analyze", str(tmp_path / "none.wav"), str(tmp_path / "never.wav"))
    assert done.code == 1
    assert done.err.count("does not exist; check the path") == 2


def test_a_role_that_is_nearly_one_that_is_analysed_is_named_with_it(capsys):
    note_misspelt_roles(Config(), "caler,agent,the boss,user")
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "'caler' is not analysed, so only its speech is timed; did you mean 'caller'?" in said


def test_no_word_of_the_plugins_is_cut_at_80_columns(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = call(capsys, "plugins").out.splitlines()
    assert max(map(len, lines)) <= 80
    words = {word.strip(",") for line in lines for word in line.split()}
    assert words >= {"level.clipped_samples", "emotion.posterior", "vad.probability", "speech_start"}


def test_a_kind_that_is_not_known_is_named_with_the_nearest(capsys):
    words = ("subscribe", "tcp://127.0.0.1:9", "--wait", "0.1", "--kind")
    done = call(capsys, *words, "emotoin")
    assert done.code == 2
    assert "! --kind emotoin is not known here, did you mean 'emotion'?; waiting" in done.err
    assert "known here: alert, board, challenge, dead_air, emotion" in call(capsys, *words, "zzz").err
    assert "not known here" not in call(capsys, *words, "emotion").err


@pytest.mark.parametrize("name", ["", ".", "a/b", "../a", "a\nb"])
def test_keys_refuse_what_is_no_name_of_a_file(capsys, tmp_path, name):
    assert "is no name for a key pair" in call(capsys, "keys", name, "--folder", tmp_path).complaint
    assert list(tmp_path.iterdir()) == []


def test_keys_name_the_path_that_is_in_the_way_and_leave_nothing_behind(capsys, tmp_path):
    done = call(capsys, "keys", "front", "--folder", tmp_path / "none")
    assert f"the folder {tmp_path / 'none'} does not exist; make it: mkdir -p" in done.complaint
    for suffix in (".key", ".key_secret"):
        taken = tmp_path / f"front{suffix}"
        taken.write_text("mine")
        assert f"{taken} exists already" in call(capsys, "keys", "front", "--folder", tmp_path).complaint
        assert list(tmp_path.iterdir()) == [taken]
        assert taken.read_text() == "mine"
        taken.unlink()


def test_ctrl_c_while_the_command_line_is_imported_ends_in_silence():
    program = """
import os, signal, sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
from rtemo.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", program, "version"], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")
    done = subprocess.run([sys.executable, "-m", "rtemo", "version"], capture_output=True, text=True, timeout=30)
    assert done.stdout.startswith("rtemo ")


def test_doctor_minds_ticks_that_take_longer_than_their_hop():
    assert tick(12_100.0, 14_000.0, 10_000.0).verdict == "fail"
    assert tick(900.0, 10_400.0, 10_000.0).verdict == "note"
    assert tick(600.0, 900.0, 10_000.0) == ("tick", "pass", "0.6 ms (p50), 0.9 ms (p99) for each hop of 10 ms", "")


def test_a_card_tells_licence_data_and_limits(capsys):
    done = call(capsys, "card", "merit-listen", "--check")
    for word in ("licence", "trained on", "limits", "sha256", "The weights are those of this card."):
        assert word in done.out
    assert json.loads(call(capsys, "card", "merit-listen", "--json").out)["name"] == "merit-listen"
    assert "merit-enhance" in call(capsys, "card").out.split()


def test_version_names_everything_a_report_needs(capsys):
    done = call(capsys, "version")
    for word in ("rtemo", "python", "numpy", "numba", "onnxruntime", "pyzmq"):
        assert word in done.out


def test_keys_are_made_once_and_never_overwritten(capsys, tmp_path):
    done = call(capsys, "keys", "edge", "--folder", tmp_path)
    assert done.code == 0
    assert (tmp_path / "edge.key_secret").stat().st_mode & 0o077 == 0
    assert "exists already" in call(capsys, "keys", "edge", "--folder", tmp_path).complaint


def test_bench_measures_every_plugin(capsys):
    done = call(
        capsys, "bench", "--chain", "level,vad", "--streams", "1,3", "--seconds", "1", "--speech", "0.5", "--json"
    )
    costs = [json.loads(line) for line in done.out.splitlines()]
    assert [cost["streams"] for cost in costs] == [1, 3]
    for cost in costs:
        assert [plugin["name"] for plugin in cost["plugins"]] == ["level", "vad"]
        busy_us = sum(plugin["busy_p50_us"] for plugin in cost["plugins"])
        assert 0 < busy_us < 1.5 * cost["tick_p50_us"]
        assert cost["tick_cpu_us"] > 0
        assert cost["speech_share"] == 0.5
        assert cost["streams_per_core"] == pytest.approx(cost["streams"] * cost["hop_us"] / cost["tick_mean_us"], abs=1)
    table = call(capsys, "bench", "--chain", "level", "--streams", "2", "--seconds", "1").out
    assert "streams/core" in table


def test_an_interrupt_inside_a_generated_class_does_not_change_how_the_process_ends(tmp_path: Path) -> None:
    (tmp_path / "told.py").write_text(
        "from rtemo.cli import main as program\n"
        "def told(**_):\n"
        "    try:\n"
        "        exec('raise KeyboardInterrupt')  # as in the import of a named tuple\n"
        "    except KeyboardInterrupt:\n"
        "        return program.EXIT_INTERRUPTED\n"
        "program.cli.main = told\n"
        "program.main([])\n"
    )
    ended = subprocess.run([sys.executable, "-m", "told"], cwd=tmp_path, check=False)
    assert ended.returncode == EXIT_INTERRUPTED, "and not by the signal"
