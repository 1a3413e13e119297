"""Nothing leaves the machine and nothing is written but what was asked for."""

import importlib.metadata
import importlib.util
import json
import re
from pathlib import Path

import pytest
import soundfile

from rtemo.runtime.places import MissingFileError
from rtemo.runtime.store import find
from tests.attack.guard import Guard, make_guard

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
_SOUND_SYSTEM = {"sounddevice", "PyAudio"}  # importing them opens the devices, which is what they are asked for
_KERNELS = re.compile(r"/__pycache__(/[\w.<>-]+\.(nbi|nbc|pyc)[\w.]*)?$")


_USES = """
import importlib, importlib.util
from rtemo.telemetry import stay_offline

stay_offline()  # as the command line does
for name in {modules!r}:
    importlib.import_module(name)
if importlib.util.find_spec("transformers"):
    from transformers import AutoConfig

    try:
        AutoConfig.from_pretrained("some/model")
    except OSError:
        pass
"""

_WEIGHTS = re.compile(r"/\.cache(/rtemo(/models(/[\w-]+-[0-9a-f]{12}(/.*)?)?)?)?$")
"""Weights that a package brings in parts are put together there, once."""
_FONTS = re.compile(r"(^|/)\.(config|cache)(/matplotlib|$)|/matplotlib-")


@pytest.fixture(scope="module")
def guard(tmp_path_factory) -> Guard:
    return make_guard(tmp_path_factory.mktemp("guard"))


def undeclared(written: list[str], *declared: Path) -> list[str]:
    allowed = [*map(str, declared), "/dev/null"]
    return [path for path in written if path not in allowed and not _KERNELS.search(path) and not _WEIGHTS.search(path)]


def left_behind(left: list[str]) -> list[str]:
    return [path for path in left if not _WEIGHTS.search(f"/{path}")]


def test_guard_sees_a_file_a_folder_a_lookup_and_a_packet(guard) -> None:
    program = (
        "import os, pathlib, socket; home = pathlib.Path.home(); (home / 'f').write_text('x'); os.mkdir(home / 'd');"
        "socket.getaddrinfo('localhost', 80); socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))"
    )
    seen = guard.run("-c", program)
    assert [Path(path).name for path in undeclared(seen.written)] == ["f", "d"]
    assert set(seen.network) >= {"lookup localhost", "send 127.0.0.1"}
    assert seen.left == ["d", "f"]


def test_analysing_a_file_sends_nothing_and_writes_the_results_alone(guard, tmp_path) -> None:
    out = tmp_path / "results.jsonl"
    seen = guard.run("-m", "rtemo.cli.main", "analyze", ROOT / "examples/call.flac", "--out", out)
    assert seen.code == 0, seen.err
    told = json.loads(out.read_text().splitlines()[0])
    assert told["emotion"], "by the `listener` of the default chain"
    assert seen.network == []
    # That the folder can be written is tried by a file without a name.
    assert undeclared(seen.written, out, out.parent) == []
    assert {path.name for path in tmp_path.iterdir()} == {out.name}
    assert left_behind(seen.left) == []


@pytest.fixture(scope="module")
def short_call(tmp_path_factory) -> Path:
    """Six seconds in which somebody speaks."""
    path = tmp_path_factory.mktemp("short") / "call.wav"
    sound, rate_hz = soundfile.read(ROOT / "examples/call.flac", dtype="float32", always_2d=True, stop=9 * 8_000)
    soundfile.write(path, sound[3 * rate_hz :, 0], rate_hz)
    return path


_WORDS = {
    "whisper-base": ("analyze", "{sound}", "--chain", "vad", "--words", "--roles", "caller", "--out", "{out}"),
    "kokoro": ("say", "The birch canoe slid on the smooth planks.", "--out", "{out}"),
    "minilm": ("search", "{sound}", "somebody who is cheerful"),
}
"""Bundle whose weights packages bring → what has it work."""


@pytest.mark.parametrize("bundle", _WORDS)
def test_models_of_extras_send_nothing_and_write_what_was_asked_for_and_their_weights_alone(
    guard, bundle, short_call, tmp_path, monkeypatch
) -> None:
    need_weights(bundle, tmp_path / "cache", monkeypatch)
    out = tmp_path / "made.wav"
    seen = guard.run("-m", "rtemo.cli.main", *(word.format(sound=short_call, out=out) for word in _WORDS[bundle]))
    assert seen.code == 0, seen.err
    assert seen.network == []
    assert undeclared(seen.written, out, out.parent, out.with_name(f".{out.name}.part")) == []
    assert bundle == "minilm" or out.stat().st_size > 0
    assert left_behind(seen.left) == []


def need_weights(bundle: str, cache: Path, patch: pytest.MonkeyPatch) -> None:
    """Go on where a program with an empty cache has them."""
    patch.setenv("XDG_CACHE_HOME", str(cache))
    if bundle == "kokoro":
        pytest.importorskip("espeakng_loader", reason="the extra rtemo[voice] is not installed")
    if bundle == "whisper-base":
        pytest.importorskip("faster_whisper", reason="the extra rtemo[words] is not installed")
    try:
        find(bundle).read_files()
    except MissingFileError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("package", ["rtemo", "rtemo_models", "bench"])
def test_each_package_switches_telemetry_off_before_a_runtime_is_imported(guard, package) -> None:
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {package}, onnxruntime"
    seen = guard.run("-c", program)
    assert seen.code == 0, seen.err
    assert (seen.network, undeclared(seen.written), seen.left) == ([], [], [])


def extras() -> dict[str, str]:
    """Module → distribution, for everything an extra brings that is installed here."""
    wanted = {
        re.split(r"[^\w.-]", need)[0].casefold().replace("_", "-")
        for need in importlib.metadata.requires("rtemo") or ()
        if "extra ==" in need and "extra == 'test'" not in need
    }
    found = {}
    for module, owners in importlib.metadata.packages_distributions().items():
        for owner in owners:
            is_wanted = owner.casefold().replace("_", "-") in wanted and owner not in _SOUND_SYSTEM
            if is_wanted and not module.startswith("_") and importlib.util.find_spec(module):
                found[module] = owner
    return found


def test_no_extra_that_is_installed_sends_or_writes_anything_when_it_is_imported(guard) -> None:
    modules = sorted(extras())
    if not modules:
        pytest.skip("no extra is installed")
    modules += [f"rtemo.integrations.{name}" for name in ("pipecat", "livekit") if importlib.util.find_spec(name)]
    seen = guard.run("-c", _USES.format(modules=modules))
    assert seen.code == 0, seen.err
    assert seen.network == []
    # matplotlib, imported for pictures alone, keeps a list of fonts; MPLCONFIGDIR names the folder.
    assert not [path for path in undeclared(seen.written) if not _FONTS.search(path)]
    left = [path for path in seen.left if "huggingface" not in path and path not in (".cache", ".config")]
    assert not [path for path in left if not _FONTS.search(path)]
