"""The large listener: its weights, its encoder, and the graph that ships."""

import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from rtemo.dsp.whisper_mel import MEL_COUNT, as_whisper_hears, log_mel_power
from rtemo.runtime.torch_graph import TorchGraph
from rtemo_models.systems.merit_large.export import Committee, listener_graph
from rtemo_models.systems.merit_large.features import LAYERS, described, export_encoder, mel_of, open_encoder
from rtemo_models.systems.merit_large.heads import Heads
from rtemo_models.systems.merit_large.listener import OUTPUTS, Listener
from rtemo_models.systems.merit_large.net import load_encoder
from rtemo_models.systems.merit_large.weights import WeightsError, part_paths, read_packages, read_variables
from tests.fakes.whisper import model_bin, written

pytestmark = pytest.mark.unit

FRAMES = 20


@pytest.fixture(scope="module")
def listener() -> Listener:
    """One layer of random weights, and two heads."""
    torch.manual_seed(0)
    heads = [Heads(1024, 32), Heads(1024, 32)]
    for head in heads:
        head.mean.normal_()
        head.scale.uniform_(0.5, 2.0)
    return Listener(load_encoder(read_variables(model_bin(1)), 1, FRAMES), (1,), Committee(heads)).eval()


@pytest.fixture(scope="module")
def graph(listener: Listener) -> bytes:
    return listener_graph(listener, FRAMES)


def feeds(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    there = (np.arange(FRAMES)[None] < random.integers(5, FRAMES + 1, n)[:, None]).astype(np.float32)
    return {
        "mel": random.standard_normal((n, 2 * FRAMES, MEL_COUNT)).astype(np.float32),
        "there": there,
    }


def run(graph: bytes, given: dict[str, np.ndarray]) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return session.run(list(OUTPUTS), given)


def test_variables_of_every_type_and_aliases_are_read_back() -> None:
    variables = {
        "a/weight": np.arange(6, dtype=np.float16).reshape(2, 3),
        "b": np.array(7, np.int8),
        "c": np.linspace(0, 1, 4, dtype=np.float32),
    }
    read = read_variables(written(variables, {"d": "c"}))
    assert set(read) == {"a/weight", "b", "c", "d"}
    for name, values in variables.items():
        np.testing.assert_array_equal(read[name], values)
        assert read[name].dtype == values.dtype
    np.testing.assert_array_equal(read["d"], variables["c"])


def test_a_model_that_is_cut_short_or_of_another_version_says_so() -> None:
    data = written({"a": np.zeros(100, np.float32)}, {})
    with pytest.raises(WeightsError, match="cut short"):
        read_variables(data[:200])
    with pytest.raises(WeightsError, match="version 9; expected one of"):
        read_variables(b"\x09" + data[1:])


def test_log_mel_of_a_tone_peaks_where_the_tone_is_and_level_can_be_taken_off() -> None:
    tone = 0.1 * np.sin(2 * np.pi * 1000 * np.arange(8000) / 16000).astype(np.float32)
    power = log_mel_power(tone)
    assert power.shape == (50, MEL_COUNT)
    # 1 kHz is 15 of 45.25 on Slaney's scale, so it lies in band 15 / 45.25 * 81 - 1.
    assert set(power[5:-5].argmax(1)) <= {25, 26}
    louder = as_whisper_hears(log_mel_power(4 * tone), 1.5)
    np.testing.assert_allclose(louder, as_whisper_hears(power, 1.5), atol=1e-4)
    assert louder.max() == pytest.approx((1.5 + 4) / 4)
    assert louder.min() >= louder.max() - 2.0 - 1e-5


def test_log_mel_is_that_of_faster_whisper() -> None:
    extractor = pytest.importorskip("faster_whisper.feature_extractor", reason="faster-whisper is not installed")
    samples = np.random.default_rng(0).standard_normal(16_000 * 3).astype(np.float32) * 0.05
    theirs = extractor.FeatureExtractor()(samples, padding=0)
    np.testing.assert_allclose(as_whisper_hears(log_mel_power(samples)).T, theirs, atol=1e-4)


def test_the_whole_encoder_is_that_of_ctranslate2(tmp_path: Path) -> None:
    ctranslate2 = pytest.importorskip("ctranslate2", reason="ctranslate2 is not installed")
    try:
        data = read_packages()
    except WeightsError as error:
        pytest.skip(str(error))
    (tmp_path / "model.bin").write_bytes(data)
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        shutil.copy(part_paths()[0].parent / name, tmp_path / name)
    theirs = ctranslate2.models.Whisper(str(tmp_path), compute_type="float32")
    random = np.random.default_rng(0)
    envelope = np.abs(np.sin(np.arange(16_000 * 5) / 3000))
    sound = (0.1 * envelope * random.standard_normal(16_000 * 5)).astype(np.float32)
    mel = np.zeros((1, MEL_COUNT, 3000), np.float32)
    mel[0, :, :500] = as_whisper_hears(log_mel_power(sound)).T
    wanted = np.array(theirs.encode(ctranslate2.StorageView.from_array(mel)).to_device(ctranslate2.Device.cpu))
    with torch.no_grad():
        got = load_encoder(read_variables(data), 6)(torch.from_numpy(mel).transpose(1, 2))[-1].numpy()
    assert np.abs(got - wanted).max() < 1e-2


def test_padding_changes_nothing_that_is_there() -> None:
    encoder = load_encoder(read_variables(model_bin(2)), 2)
    mel = torch.randn(1, 24, MEL_COUNT)
    padded = torch.cat([mel, torch.full((1, 16, MEL_COUNT), 3.0)], 1)
    there = (torch.arange(20) < 12).float()[None]
    with torch.no_grad():
        alone, beside = encoder(mel)[-1], encoder(padded, there)[-1][:, :12]
    assert (alone - beside).abs().max() < 1e-5


def test_what_heads_are_trained_on_is_what_the_network_pools(tmp_path: Path) -> None:
    """Windows of several lengths, encoded together for training and alone by what ships, the shortest under 0.1 s."""
    variables = read_variables(model_bin(LAYERS))
    encode = open_encoder(export_encoder(tmp_path / "encoder.onnx", variables))
    random = np.random.default_rng(0)
    sounds = [(0.1 * random.standard_normal(count)).astype(np.float32) for count in (1000, 4900, 16_010)]
    trained = described(encode, sounds)

    class Pooled(torch.nn.Module):
        def hear(self, values: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return values, values, values[:, 0], values[:, 0]

    listener = Listener(load_encoder(variables, LAYERS), (2, 3), Pooled())
    for sound, got in zip(sounds, trained, strict=True):
        mel = torch.from_numpy(mel_of(sound))[None]
        with torch.no_grad():
            wanted = listener(mel, torch.ones(1, mel.shape[1] // 2))[0][0].reshape(2, 2, -1).numpy()
        np.testing.assert_allclose(got[1:].transpose(1, 0, 2).astype(np.float32), wanted, atol=2e-2, rtol=2e-3)


def test_the_graph_says_what_the_network_says_and_the_torch_back_end_too(listener: Listener, graph: bytes) -> None:
    given = feeds(5)
    tensors = {name: torch.from_numpy(values) for name, values in given.items()}
    with torch.no_grad():
        wanted = listener(*tensors.values())
    got = run(graph, given)
    by_torch = TorchGraph(graph, torch.device("cpu"))(tensors, list(OUTPUTS))
    for theirs, ours, other in zip(wanted, got, by_torch, strict=True):
        scale = float(theirs.abs().max())
        assert np.abs(theirs.numpy() - ours).max() < 2e-3 * max(scale, 1.0), "heads are rounded to float16"
        assert np.abs(other.numpy() - ours).max() < 1e-4 * max(scale, 1.0)


def test_rows_of_the_graph_do_not_touch_each_other(graph: bytes) -> None:
    given = feeds(6)
    together = run(graph, given)
    for row in (0, 3, 5):
        alone = run(graph, {name: values[row : row + 1] for name, values in given.items()})
        for one, all_rows in zip(alone, together, strict=True):
            np.testing.assert_allclose(one[0], all_rows[row], rtol=1e-4, atol=1e-4)
