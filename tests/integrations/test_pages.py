"""The programs that the pages of the frameworks begin with run, on three seconds of the call."""

import re
import socket
from pathlib import Path

import pytest

import rtemo
from rtemo.config import Config

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]


def program(page: str, **changes: str) -> str:
    code = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)[0]
    for before, after in {"12 * rate_hz": "9 * rate_hz", **changes}.items():
        assert before in code
        code = code.replace(before, after)
    return code


@pytest.mark.long  # what these programs do the tests beside this file do too
@pytest.mark.parametrize(
    ("page", "package"), [("assistants-pipecat.md", "pipecat"), ("assistants-livekit.md", "livekit")]
)
def test_the_page_of_a_framework_begins_with_a_program_that_hears_the_caller(
    page: str, package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip(package, reason=f"the extra {package} is not installed")
    monkeypatch.chdir(ROOT)
    exec(compile(program(page), page, "exec"), {"__name__": "page"})
    lines = capsys.readouterr().out.splitlines()
    assert any(re.match(r"\w+ -?[0-9.]+$", line) for line in lines)  # a mood with its arousal
    assert any("[caller sounds" in line for line in lines)  # a turn


def test_the_page_about_wyoming_begins_with_a_client_that_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("wyoming", reason="the extra wyoming is not installed")
    from rtemo.integrations.wyoming.options import WyomingOptions
    from rtemo.integrations.wyoming.source import WyomingSource

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.chdir(ROOT)
    source = WyomingSource(WyomingOptions(endpoint=f"tcp://127.0.0.1:{port}"))
    with rtemo.Session(Config(chain=("level", "vad")), sources=[source]):
        exec(compile(program("assistants-wyoming.md", **{"10700": str(port)}), "page", "exec"), {"__name__": "page"})
    said = capsys.readouterr().out
    assert "voice-started {'timestamp'" in said
    assert "voice-stopped {'timestamp'" in said


def test_the_page_for_assistants_begins_with_a_program_that_tells_the_turns_of_the_caller(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    exec(compile(program("for-assistants.md"), "for-assistants.md", "exec"), {"__name__": "page"})
    assert re.fullmatch(r"([0-9.]+ to [0-9.]+ s: \w+ -?[0-9.]+\n)+", capsys.readouterr().out)


def test_the_gate_of_the_page_for_assistants_rules_as_it_says() -> None:
    text = (ROOT / "docs" / "for-assistants.md").read_text()
    (code,) = [one for one in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "SpoofGate" in one]
    exec(compile(code, "for-assistants.md", "exec"), {})
