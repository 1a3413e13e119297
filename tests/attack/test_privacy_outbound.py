"""Nothing leaves the machine and nothing is written but what was asked for."""

import importlib.metadata
import importlib.util
import re
from pathlib import Path

import pytest

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

_FONTS = re.compile(r"(^|/)\.(config|cache)(/matplotlib|$)|/matplotlib-")


@pytest.fixture(scope="module")
def guard(tmp_path_factory) -> Guard:
    return make_guard(tmp_path_factory.mktemp("guard"))


def undeclared(written: list[str], *declared: Path) -> list[str]:
    allowed = [*map(str, declared), "/dev/null"]
    return [path for path in written if path not in allowed and not _KERNELS.search(path)]


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
    chain = ["--chain", "level,vad,prosody,merit"]
    seen = guard.run("-m", "rtemo.cli.main", "analyze", ROOT / "examples/call.flac", "--out", out, *chain)
    assert seen.code == 0, seen.err
    assert out.stat().st_size > 0
    assert seen.network == []
    assert (
        undeclared(seen.written, out, out.parent) == []
    )  # that the folder can be written is tried by a file without a name
    assert {path.name for path in tmp_path.iterdir()} == {out.name}
    assert seen.left == []


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
    seen = guard.run("-c", _USES.format(modules=modules))
    assert seen.code == 0, seen.err
    assert seen.network == []
    # matplotlib, imported for pictures alone, keeps a list of fonts; MPLCONFIGDIR names the folder.
    assert not [path for path in undeclared(seen.written) if not _FONTS.search(path)]
    left = [path for path in seen.left if "huggingface" not in path and path not in (".cache", ".config")]
    assert not [path for path in left if not _FONTS.search(path)]
