"""The full-size network around a tiny random encoder: sizes, gradients, learning, resuming, two processes as one."""

import json
import multiprocessing
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import msgspec
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: networks cannot be tested")
pytest.importorskip("transformers", reason="transformers is not installed: the full-size network cannot be tested")
pytest.importorskip("scipy")

from bench.quality.full_merit import main as score_main  # noqa: E402
from rtemo.api.errors import ConfigError  # noqa: E402
from rtemo_models.kit.nets.routing import Expert, Router  # noqa: E402
from rtemo_models.systems.full_merit.data import NoisyPairs, class_weights, collated, mixed  # noqa: E402
from rtemo_models.systems.full_merit.net import (  # noqa: E402
    EmotionHead,
    FullMerit,
    FullMeritConfig,
    MaskHead,
    at_frame_rate,
    log_magnitude,
)
from rtemo_models.systems.full_merit.train.gradients import cosine, without_conflict  # noqa: E402
from rtemo_models.systems.full_merit.train.losses import detection_scores, emotion_loss, speech_loss  # noqa: E402
from rtemo_models.systems.full_merit.train.objective import Objective  # noqa: E402
from rtemo_models.systems.full_merit.train.process_group import ProcessGroup  # noqa: E402
from rtemo_models.systems.full_merit.train.recipe import FullMeritRecipe, read_full_recipe  # noqa: E402
from rtemo_models.systems.full_merit.train.run import FullRun, load_best, main  # noqa: E402
from tests.fakes.full_gradients import take_step, take_step_as  # noqa: E402
from tests.fakes.licensed import SETTINGS, tiny_encoder, write_data, write_manifest  # noqa: E402

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
ALONE = ProcessGroup(0, 1, torch.device("cpu"))
SMALL = FullMeritConfig(expert_hidden=24, expert_out=16, mask_hidden=16)
GRADIENT_TOLERANCE = 1e-6
"""Absolute, for gradients up to 0.3: sums in float32 in another order, which were found to differ by 6e-8."""


def recipe(**changes):
    return msgspec.convert(SETTINGS | changes, FullMeritRecipe)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    clips = write_data(folder)
    write_manifest(folder, clips)
    return folder, clips


@pytest.fixture
def net():
    torch.manual_seed(0)
    return FullMerit(tiny_encoder(), 4, SMALL)


@pytest.fixture
def batch():
    torch.manual_seed(1)
    lengths = torch.tensor([8000, 6001])
    samples = 0.1 * torch.randn(2, 8000) * (torch.arange(8000) < lengths[:, None])
    return samples, lengths


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_the_parts_have_the_sizes_of_the_paper():
    with torch.device("meta"):
        assert count(Expert(25 * 1024, 4096, 1024)) == 109_057_024
        assert count(Router(25 * 1024, 3)) == 76_803
        assert count(MaskHead(1024, 256, 2, causal=False)) == 2_995_145


def test_it_hears_clips_of_different_lengths(net, batch):
    heard = net.eval()(*batch)
    assert heard.logits.shape == (2, 4)
    assert heard.mask.shape == (2, 51, 201)
    assert heard.mask.min() >= 0
    assert heard.mask.max() <= 1
    assert heard.index["speech"].shape == (2, 24)
    assert net.enhance(*batch).shape == (2, 8000)


def test_padding_does_not_change_what_is_heard(net, batch):
    samples, lengths = batch
    both = net.eval()(samples, lengths)
    alone = net(samples[1:, :6001], lengths[1:])
    assert torch.allclose(both.logits[1], alone.logits[0], atol=1e-4)
    # The last window reaches over the end, where a clip alone is mirrored and a padded one silent.
    assert torch.allclose(both.masked[1, :30], alone.masked[0, :30], atol=1e-3)


def test_a_causal_mask_does_not_know_the_future(batch):
    torch.manual_seed(0)
    for causal in (True, False):
        head = MaskHead(16, 16, 2, causal).eval()
        magnitude, x, frames = torch.randn(1, 50, 201), torch.randn(1, 50, 16), torch.tensor([50])
        later = magnitude.clone()
        later[:, 30:] += 1
        same = torch.allclose(head(magnitude, x, frames)[:, :30], head(later, x, frames)[:, :30])
        assert same == causal


@pytest.mark.parametrize("gate", ["top1_scaled", "straight_through", "dense", "random_fixed"])
def test_every_part_that_learns_gets_a_gradient_from_its_task(gate, batch):
    torch.manual_seed(0)
    net = FullMerit(tiny_encoder(), 4, FullMeritConfig(expert_hidden=24, expert_out=16, mask_hidden=16, gate=gate))
    heard = net(*batch)
    (heard.logits.square().sum() + heard.masked.sum()).backward()
    without = [n for n, p in net.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []
    assert net.encoder.feature_extractor.conv_layers[0].conv.weight.grad is None
    assert net.encoder.encoder.layers[1].feed_forward.output_dense.weight.grad.abs().max() > 0
    for router in net.routers.values():
        learns = router.linear.weight.grad is not None and router.linear.weight.grad.abs().max() > 0
        assert learns == (gate != "random_fixed")


def test_an_encoder_that_is_held_still_gets_no_gradient_and_no_dropout(net, batch):
    net.learn_encoder(False)
    net.train()
    heard = net(*batch)
    (heard.logits.sum() + heard.masked.sum()).backward()
    assert not net.encoder.training
    assert all(p.grad is None for p in net.encoder.parameters())
    assert net.pool.experts[0].widen.weight.grad is not None


def test_a_shared_low_rank_layer_makes_the_experts_small(batch):
    config = FullMeritConfig(expert_hidden=24, expert_out=16, mask_hidden=16, low_rank=8)
    net = FullMerit(tiny_encoder(), 4, config)
    assert net.pool.experts[0].widen.weight.shape == (24, 8)
    assert net(*batch).logits.shape == (2, 4)


def test_a_mask_of_one_gives_the_noisy_speech_back(net, batch):
    samples, lengths = batch
    with torch.no_grad():
        net.speech.leave.weight.zero_()
        net.speech.leave.bias.fill_(100.0)
    net.mean.fill_(0.01)
    net.deviation.fill_(0.1)
    assert torch.allclose(net.eval().enhance(samples[:1], lengths[:1]), samples[:1], atol=1e-5)


def test_encoder_frames_are_repeated_to_the_rate_of_the_spectrum():
    x = torch.arange(6.0).view(2, 3, 1)
    valid = torch.tensor([[True, True, True], [True, True, False]])
    assert at_frame_rate(x, valid, 8)[..., 0].tolist() == [[0, 0, 1, 1, 2, 2, 2, 2], [3, 3, 4, 4, 4, 4, 4, 4]]


def test_pooling_ignores_padding():
    torch.manual_seed(0)
    head = EmotionHead(8, 3, 0.5).eval()
    x = torch.randn(1, 10, 8)
    padded = torch.cat([x, torch.randn(1, 5, 8)], 1)
    valid = torch.arange(15)[None] < 10
    assert torch.allclose(head(padded, valid), head(x, valid[:, :10]), atol=1e-6)


def test_clips_outside_the_classes_do_not_count_as_the_first_class():
    target = torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    logits = torch.tensor([[5.0, -5.0], [0.0, 0.0]], requires_grad=True)
    emotion_loss(logits, target, torch.ones(2)).backward()
    assert logits.grad[0].abs().max() == 0
    assert logits.grad[1].abs().max() > 0


def test_losses_of_halves_average_to_the_loss_of_the_whole():
    torch.manual_seed(0)
    logits, target = torch.randn(4, 3), torch.eye(3)[[0, 1, 2, 0]]
    weight = torch.tensor([0.5, 2.0, 1.0])
    halves = [emotion_loss(logits[k : k + 2], target[k : k + 2], weight) for k in (0, 2)]
    assert torch.allclose(sum(halves) / 2, emotion_loss(logits, target, weight))
    masked, clean, frames = torch.randn(4, 9, 5), torch.randn(4, 9, 5), torch.tensor([9, 3, 5, 8])
    halves = [speech_loss(masked[k : k + 2], clean[k : k + 2], frames[k : k + 2]) for k in (0, 2)]
    assert torch.allclose(sum(halves) / 2, speech_loss(masked, clean, frames))


def test_gradient_surgery_takes_out_what_conflicts_and_nothing_else():
    a, b = [torch.tensor([1.0, 0.0])], [torch.tensor([-1.0, 1.0])]
    (mended,) = without_conflict([a, b], 0)
    assert torch.allclose(mended, torch.tensor([0.5, 1.5]))  # (1/2, 1/2) + (0, 1)
    agreeing = [torch.tensor([1.0, 1.0])]
    (plain,) = without_conflict([a, agreeing], 0)
    assert torch.allclose(plain, torch.tensor([2.0, 1.0]))
    assert float(cosine(a, b)) == pytest.approx(-(0.5**0.5))


def test_scores_are_those_of_a_confusion_worked_by_hand():
    scores = detection_scores(torch.tensor([[3.0, 1.0], [2.0, 2.0]]))
    assert scores["uar"] == pytest.approx(0.625)
    assert scores["f1_micro"] == pytest.approx(0.625)
    assert scores["f1_macro"] == pytest.approx((2 * 0.6 * 0.75 / 1.35 + 2 * (2 / 3) * 0.5 / (7 / 6)) / 2)


def test_the_mixer_meets_the_ratio_and_pairs_are_the_same_again(data):
    folder, clips = data
    pairs = NoisyPairs(clips, ["noise/train.wav"], folder, ["angry", "sad"], [5.0], degrade={"codec": 0.5}, seed=3)
    first, again = pairs[2], pairs[2]
    assert (first.noisy == again.noisy).all()
    noise = first.noisy - first.clean
    assert 10 * torch.log10(torch.tensor((first.clean**2).mean() / (noise**2).mean())) == pytest.approx(5, abs=0.01)
    pairs.epoch = 1
    assert not (pairs[2].noisy == first.noisy).all()
    assert mixed(first.clean, 0 * noise, 5.0, 3) == pytest.approx(first.clean)
    assert collated([first, again]).target.tolist() == [[1, 0], [1, 0]]


def test_votes_count_only_when_asked_for(data):
    folder, clips = data
    soft = NoisyPairs(clips, ["noise/train.wav"], folder, ["angry", "sad"], [5.0], soft=True)
    assert soft.target(clips[0]).tolist() == [0.75, 0.25]
    assert class_weights(clips[:3], ["angry", "sad"]).tolist() == [0.75, 1.5]


@pytest.mark.parametrize("combine", ["sum", "uncertainty", "pcgrad"])
def test_enhancement_is_learnt_and_all_dev_clips_are_scored(combine, data, tmp_path):
    folder, clips = data
    settings = recipe(combine=combine, epochs=10, checkpoint_steps=99, rates=dict.fromkeys(SETTINGS["rates"], 1e-2))
    FullRun(settings, tiny_encoder(), clips, folder, tmp_path, ALONE).train()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert len(lines) == 10
    assert lines[-1]["speech"] < 0.5 * lines[0]["speech"]
    assert lines[-1]["dev"]["clips"] == 6
    assert load_best(tmp_path / "best.pt")(torch.randn(1, 4000), torch.tensor([4000])).logits.shape == (1, 2)


def test_a_trained_network_is_scored_on_every_clip_of_a_split(data, tmp_path, capsys):
    pytest.importorskip("pesq", reason="pesq is not installed: sound cannot be scored")
    pytest.importorskip("pystoi", reason="pystoi is not installed: sound cannot be scored")
    folder, clips = data
    FullRun(recipe(epochs=1), tiny_encoder(), clips, folder, tmp_path, ALONE).train()
    capsys.readouterr()
    line = ["--best", str(tmp_path / "best.pt"), "--data", str(folder), "--split", "dev", "--noise", "dev"]
    score_main([*line, "--snr", "-5", "5", "--sounding", "2"])
    low, high = (json.loads(printed) for printed in capsys.readouterr().out.splitlines())
    assert (low["snr_db"], high["snr_db"], low["clips"]) == (-5, 5, 6)
    assert "ssnr_db_gain" in low
    with pytest.raises(SystemExit, match="no test clip of msp_podcast"):
        score_main(["--best", str(tmp_path / "best.pt"), "--data", str(folder)])


def test_a_batch_is_learnt_by_heart(data):
    folder, clips = data
    pairs = NoisyPairs(clips[:4], ["noise/train.wav"], folder, ["angry", "sad"], [5.0])
    torch.manual_seed(0)
    objective = Objective(FullMerit(tiny_encoder(), 2, FullMeritConfig(**SETTINGS["net"])), recipe(), torch.ones(2))
    objective.net.deviation.fill_(0.1)
    optimiser = torch.optim.AdamW((p for p in objective.parameters() if p.requires_grad), 5e-3)
    batch = collated([pairs[k] for k in range(4)])
    emotion = []
    for _ in range(60):
        losses = objective(batch)
        emotion.append(float(losses["emotion"].detach()))
        optimiser.zero_grad()
        losses["total"].backward()
        optimiser.step()
    assert min(emotion[:2]) > 0.5
    assert max(emotion[-5:]) < 0.2


def test_a_run_that_was_stopped_takes_the_same_next_step(data, tmp_path):
    folder, clips = data
    changes = {"heads_epochs": 1, "net": SETTINGS["net"] | {"head_dropout": 0.5}, "balance_weight": 0.01}
    for name, stops in (("whole", [None]), ("parts", [1, 3, None])):
        for stop in stops:
            FullRun(recipe(**changes), tiny_encoder(), clips, folder, tmp_path / name, ALONE).train(stop)
    whole, parts = (torch.load(tmp_path / n / "checkpoint.pt", weights_only=True) for n in ("whole", "parts"))
    assert whole["step"] == parts["step"] == 4
    assert whole["best"] == parts["best"]
    for name, values in whole["net"].items():
        assert torch.equal(values, parts["net"][name]), name


def test_half_precision_gives_nearly_the_same_losses(data, tmp_path):
    folder, clips = data
    found = []
    for bf16 in (False, True):
        run = FullRun(recipe(bf16=bf16), tiny_encoder(), clips, folder, tmp_path / str(bf16), ALONE)
        found.append(run.take_step(run.net, run._batches(0)))
    assert found[1]["total"] == pytest.approx(found[0]["total"], rel=0.02)
    assert found[1]["total"] != found[0]["total"]


def gradients_of(out):
    return torch.load(out / "step.pt", weights_only=True)


def assert_same_step(one, two):
    assert (one["size"], two["size"]) == (1, 2)
    assert one["gradients"].keys() == two["gradients"].keys()
    for name, gradient in one["gradients"].items():
        torch.testing.assert_close(two["gradients"][name], gradient, atol=GRADIENT_TOLERANCE, rtol=1e-4, msg=name)
    assert two["scores"] == pytest.approx(one["scores"], abs=1e-5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked to save them their imports")
@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA cannot be forked")
@pytest.mark.parametrize("combine", ["sum", "pcgrad"])
def test_two_processes_have_the_gradients_and_scores_of_one(combine, data, tmp_path):
    changes = {"combine": combine, "micro_batch": 2}
    take_step(data[0], tmp_path / "1", changes)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    others = [
        context.Process(target=take_step_as, args=(rank, 2, port, data[0], tmp_path / "2", changes)) for rank in (0, 1)
    ]
    for other in others:
        other.start()
    for other in others:
        other.join(100)
        if other.is_alive():
            other.kill()
    assert [other.exitcode for other in others] == [0, 0]
    assert_same_step(gradients_of(tmp_path / "1"), gradients_of(tmp_path / "2"))


@pytest.mark.long  # two processes without torchrun are tried above
@pytest.mark.timeout(600)
def test_torchrun_starts_the_same(data, tmp_path):
    take_step(data[0], tmp_path / "1", {"micro_batch": 2})
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "tests.fakes.full_gradients", str(data[0]), str(tmp_path / "2"), '{"micro_batch": 2}']
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stderr[-3000:]
    assert_same_step(gradients_of(tmp_path / "1"), gradients_of(tmp_path / "2"))


def test_a_batch_that_processes_cannot_share_is_refused(data, tmp_path):
    folder, clips = data
    group = ProcessGroup(0, 2, torch.device("cpu"))
    with pytest.raises(ConfigError, match="2 processes cannot share in micro-batches of 3"):
        FullRun(recipe(micro_batch=3), tiny_encoder(), clips, folder, tmp_path, group)


def test_a_speaker_in_two_splits_is_refused(data, tmp_path):
    folder, clips = data
    leaking = [*clips, replace(clips[0], split="dev")]
    with pytest.raises(ValueError, match="in two splits"):
        FullRun(recipe(), tiny_encoder(), leaking, folder, tmp_path, ALONE)


def test_the_shipped_recipe_is_read_and_has_the_sizes_of_the_paper():
    found = read_full_recipe(ROOT / "models/rtemo_models/systems/full_merit/recipes/recipe.toml")
    config = FullMeritConfig(**found.net)
    assert (config.experts, config.expert_hidden, config.expert_out) == (3, 4096, 1024)
    assert found.classes == ("angry", "sad", "happy", "neutral")


def test_a_wrong_key_of_a_recipe_is_named(tmp_path):
    text = (ROOT / "models/rtemo_models/systems/full_merit/recipes/recipe.toml").read_text()
    (tmp_path / "recipe.toml").write_text("sede = 7\n" + text)
    with pytest.raises(ConfigError, match="sede"):
        read_full_recipe(tmp_path / "recipe.toml")


def test_the_command_says_in_one_line_what_is_missing(data, tmp_path, monkeypatch):
    folder, _ = data
    path = ROOT / "models/rtemo_models/systems/full_merit/recipes/recipe.toml"
    line = ["--config", str(path), "--data", str(folder), "--work", str(tmp_path)]
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(click.ClickException, match=r"no encoder .*nowhere"):
        main.main([*line, "--encoder", str(tmp_path / "nowhere")], standalone_mode=False)


def test_the_log_magnitude_is_undone_by_its_inverse():
    spectrum = torch.complex(torch.randn(5), torch.randn(5))
    assert torch.allclose(torch.expm1(log_magnitude(spectrum)), spectrum.abs(), atol=1e-5)
