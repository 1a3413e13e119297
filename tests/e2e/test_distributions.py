"""The two wheels as a stranger gets them: built, taken apart, installed and run."""

import json
import os
import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

import rtemo

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
WEIGHTS = (".onnx", ".graft", ".pt", ".npz", ".safetensors", ".bin", ".gguf")


def build(kind: str, project: Path, out: Path) -> Path:
    """Build one file with the backend itself, which needs no network, and give it."""
    before = set(out.glob("*"))
    command = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(out)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (made,) = set(out.glob("*")) - before
    return made


FREE = ["kokoro", "minilm", "silero-vad", "smart-turn", "speaker", "whisper-base"]
"""Bundles, or cards of bundles, under licences as free as the code's: they are in its wheel."""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> tuple[Path, Path]:
    """The wheel of the code and the wheel of the weights, each built from its source distribution."""
    out = tmp_path_factory.mktemp("dist")
    made = []
    for project in (ROOT, ROOT / "models" / "weights"):
        source = build("sdist", project, out)
        subprocess.run(["tar", "-xzf", source, "-C", out], check=True)
        made.append(build("wheel", out / source.name.removesuffix(".tar.gz"), out))
    return made[0], made[1]


def names(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def metadata(wheel: Path) -> Message:
    (name,) = (name for name in names(wheel) if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(zipfile.ZipFile(wheel).read(name).decode())


def test_wheel_of_the_code_is_typed_and_whole(wheels):
    parts = {"rtemo_plugins/merit/plugin.py", "rtemo_models/systems/merit/export/bundles.py"}
    assert {"rtemo/py.typed", "rtemo/cli/callreport/colours.css", *parts} <= names(wheels[0])


def test_wheel_of_the_code_holds_no_weights_but_those_as_free_as_itself(wheels):
    archive = zipfile.ZipFile(wheels[0])
    licences = {"Apache-2.0"}
    for name in (name for name in names(wheels[0]) if name.endswith(WEIGHTS)):
        folder = name.rpartition("/")[0]
        licence = json.loads(archive.read(f"{folder}/card.json"))["licence"]
        (free,) = [known for known in ("MIT", "Apache-2.0", "BSD-3-Clause") if licence.startswith(known)]
        licences.add(free)
        assert any(path.endswith(f"/licenses/models/{folder}/LICENSE") for path in names(wheels[0])), folder
    assert set(metadata(wheels[0])["License-Expression"].split(" AND ")) == licences


OURS = (
    "emotion_rank_clap",
    "end_of_turn",
    "gem",
    "gem_large",
    "merit_enhance",
    "merit_large",
    "merit_listen",
    "ranker",
)


def test_wheel_of_the_weights_holds_a_card_and_a_graph_each_and_nothing_that_runs(wheels):
    held = names(wheels[1])
    graphs = {name.rpartition("/")[0] for name in held if name.endswith((".onnx", ".graft"))}
    assert graphs == {f"rtemo_weights/{name}" for name in OURS}
    assert {name.rpartition("/")[0] for name in held if name.endswith("card.json")} == graphs
    assert not [name for name in held if name.endswith(".py") and not name.endswith("__init__.py")]
    assert metadata(wheels[1])["License-Expression"] == "CC-BY-NC-SA-4.0"


def test_both_carry_their_licence_and_the_version_that_the_package_states(wheels):
    for wheel, files in zip(wheels, ({"LICENSE"}, {"LICENSE", "NOTICE"}), strict=True):
        facts = metadata(wheel)
        assert facts["Version"] == rtemo.__version__
        assert files <= set(facts.get_all("License-File", []))
        for file in files:
            assert any(name.endswith(f".dist-info/licenses/{file}") for name in names(wheel))


@pytest.fixture(scope="module")
def stranger(wheels, tmp_path_factory):
    """Runs rtemo from the wheels, with all that it depends on and nothing of this checkout."""
    folder = tmp_path_factory.mktemp("stranger")
    code, weights, others = folder / "code", folder / "weights", folder / "others"
    zipfile.ZipFile(wheels[0]).extractall(code)
    zipfile.ZipFile(wheels[1]).extractall(weights)
    others.mkdir()
    for place in (Path(path) for path in sys.path if path.endswith("site-packages")):
        for item in place.iterdir():
            link = others / item.name
            if not item.name.startswith(("rtemo", "_editable_impl_rtemo")) and not link.exists():
                link.symlink_to(item)

    def run(*arguments: object, with_weights: bool) -> "subprocess.CompletedProcess[str]":
        places = [code, *([weights] if with_weights else []), others]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places))}
        command = [sys.executable, "-S", "-m", "rtemo.cli.main", *map(str, arguments)]  # -S: no editable installs
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=90)

    return run


def test_installed_wheels_find_their_bundles_and_prove_them(stranger):
    done = stranger("card", with_weights=True)
    ours = [
        "emotion-rank-clap",
        "end-of-turn",
        "gem",
        "gem-large",
        "merit-enhance",
        "merit-large",
        "merit-listen",
        "ranker",
    ]
    assert done.stdout.split() == sorted([*ours, *FREE]), done.stderr
    done = stranger("card", "merit-listen", "--check", with_weights=True)
    assert "The weights are those of this card." in done.stdout
    assert f"rtemo {rtemo.__version__}\n" in stranger("version", with_weights=True).stdout


@pytest.mark.parametrize(
    "arguments", [["listen", ROOT / "examples" / "call.flac"], ["card", "merit-listen"], ["serve"]], ids=lambda a: a[0]
)
def test_without_the_weights_one_line_says_what_to_install(stranger, arguments):
    done = stranger(*arguments, with_weights=False)
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if "kernels" not in line]  # which a first start compiles
    assert len(said) == 1, done.stderr
    assert said[0].startswith("rtemo: ")
    assert "rtemo-weights: pip install ./models/weights" in done.stderr


def test_without_the_weights_what_needs_none_still_works(stranger):
    assert stranger("card", with_weights=False).stdout.split() == FREE
    done = stranger("plugins", "--chain", "level,vad,prosody", with_weights=False)
    assert done.returncode == 0, done.stderr
