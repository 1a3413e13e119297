"""Phones in time, communities of speakers and anchors, on things whose answer is known."""

import itertools

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: nothing can be trained")
pytest.importorskip("networkx")

import torch

from rtemo_models.systems.sapa.communities import communities, k_means, louvain, unit
from rtemo_models.systems.sapa.net import Batch, Net, Said, anchors_of, phone_loss, style_loss
from rtemo_models.systems.sapa.phones import BLANK, aligned, distance, error_rate, inventory_of, recognised, signs_of
from rtemo_models.systems.sapa.settings import Graph, Transfer

pytestmark = pytest.mark.unit

GRAPH = Graph(near=7, least_clips=2, least_speakers=3)


def logs(rows: list[list[float]]) -> np.ndarray:
    """Log probabilities of frames, each row scaled to one."""
    values = np.array(rows, np.float64)
    return np.log(values / values.sum(1, keepdims=True)).astype(np.float32)


def test_signs_of_one_sound_stay_together_and_stress_length_and_diacritics_go() -> None:
    assert signs_of("d^ʒˈʌmpɪŋ fˈɔːks") == ["dʒ", "ʌ", "m", "p", "ɪ", "ŋ", "f", "ɔ", "k", "s"]
    assert signs_of("ʑ^ˈɛ̃") == ["ʑɛ"]
    assert signs_of("") == []


def test_rare_phones_are_left_out_and_the_blank_is_first() -> None:
    found = inventory_of([["a", "b"], ["a", "c"], ["a", "b"]], least=2)
    assert found.signs == ("", "a", "b")
    assert found.numbers(["c", "b", "a"]) == [2, 1]


def test_repeats_are_one_phone_and_a_blank_between_makes_two() -> None:
    said = recognised(logs([[1, 9, 0.1], [1, 9, 0.1], [9, 1, 0.1], [1, 9, 0.1], [0.1, 1, 9]]))
    assert [phone.number for phone in said] == [1, 1, 2]
    assert [phone.start for phone in said] == sorted(phone.start for phone in said)
    assert all(phone.start < phone.end for phone in said)


def test_the_best_path_is_the_best_of_all_paths() -> None:
    random = np.random.default_rng(0)
    for _ in range(5):
        p = logs(random.random((5, 3)).tolist())
        wanted = [1, 2]
        best = max(
            (path for path in itertools.product(range(3), repeat=5) if _told(path) == wanted),
            key=lambda path: sum(p[t, s] for t, s in enumerate(path)),
        )
        peaks = [best.index(1), best.index(2)]
        for phone, at in zip(aligned(p, wanted), peaks, strict=True):
            assert phone.number in wanted
            assert phone.start <= at < phone.end


def _told(path: tuple[int, ...]) -> list[int]:
    return [key for key, _ in itertools.groupby(path) if key != BLANK]


def test_more_phones_than_time_give_nothing() -> None:
    assert aligned(logs([[1, 1, 1]] * 2), [1, 2, 1, 2]) == []
    assert aligned(logs([[1, 1, 1]] * 3), [1, 1]), "a blank between two of one kind just fits"


def test_the_error_rate_counts_what_is_inserted_left_out_and_exchanged() -> None:
    assert distance([1, 2, 3], [1, 3]) == 1
    assert distance([1, 2], [3, 2, 4]) == 2
    assert error_rate([[1, 2], [5]], [[1, 3], [5, 6]]) == pytest.approx(2 / 4)


def groups(random: np.random.Generator, count: int = 2, each: int = 8) -> np.ndarray:
    centres = np.eye(count, 16) * 4
    points = np.concatenate([centres[k] + 0.4 * random.standard_normal((each, 16)) for k in range(count)])
    return np.stack([unit(point) for point in points]).astype(np.float32)


def test_louvain_and_k_means_find_groups_that_are_far_apart() -> None:
    vectors = groups(np.random.default_rng(1), 3)
    wanted = [set(range(8)), set(range(8, 16)), set(range(16, 24))]
    assert sorted(map(set, (part.tolist() for part in louvain(vectors, 7, 0))), key=min) == wanted
    assert sorted(map(set, (part.tolist() for part in k_means(vectors, 3, 1))), key=min) == wanted


def test_every_clip_of_a_known_label_has_a_community_of_its_emotion() -> None:
    styles = groups(np.random.default_rng(2)).repeat(4, 0)
    speaker = [f"s{k // 4}" for k in range(64)]
    label = np.tile([0, 0, 1, -1], 16)
    found = communities(styles, label, speaker, GRAPH, "louvain", 0)
    assert (found[label < 0] == -1).all()
    for emotion in (0, 1):
        rows = label == emotion
        halves = [set(found[rows & half].tolist()) for half in (np.arange(64) < 32, np.arange(64) >= 32)]
        if emotion == 0:  # of 1 every speaker has a single clip, too few to be a node
            assert len(halves[0]) == len(halves[1]) == 1
            assert halves[0] != halves[1]
        else:
            assert halves == [{0}, {0}]
    assert set(communities(styles, label, speaker, GRAPH, "one", 0).tolist()) == {-1, 0}


def said_of(label: torch.Tensor, phones: int = 3) -> tuple[Said, torch.Tensor]:
    """Styles and tokens that lie where their label says, and kinds of tokens of which the last is none."""
    n = len(label)
    kinds = torch.tensor([[1, 2, 0]]).repeat(n, 1)
    where = torch.eye(4, 8)[label]
    tokens = where[:, None].repeat(1, 3, 1) + 0.01 * torch.randn(n, 3, 8)
    unit_ = torch.nn.functional.normalize
    return Said(torch.zeros(n, 4), unit_(tokens, dim=2), unit_(where, dim=1)), kinds


def test_what_lies_with_its_prototype_costs_little_and_what_lies_elsewhere_much() -> None:
    label = torch.arange(16) % 4
    said, kinds = said_of(label)
    anchors = anchors_of(said, kinds, label, torch.zeros(16, dtype=torch.long), torch.zeros(16, dtype=torch.bool), 3)
    assert anchors.has_style.all()
    assert not anchors.has_phone[:, :, 0].any(), "what is no phone has no prototype"
    other = (label + 1) % 4
    assert style_loss(said.styles, label, anchors, 0.1) < 0.01 < style_loss(said.styles, other, anchors, 0.1)
    right = phone_loss(said.tokens, kinds, label, anchors, 0.1)
    assert right < 0.02 < phone_loss(said.tokens, kinds, other, anchors, 0.1)


def test_a_phone_that_differs_between_languages_counts_for_nothing() -> None:
    label = torch.arange(32) % 4
    said, kinds = said_of(label)
    is_target = torch.arange(32) >= 16
    tokens = said.tokens.clone()
    tokens[is_target, 1] *= -1
    anchors = anchors_of(said._replace(tokens=tokens), kinds, label, torch.zeros(32, dtype=torch.long), is_target, 3)
    assert anchors.weight[1] > 0.95
    assert anchors.weight[2] == 0


def test_a_clip_without_a_phone_is_told_by_its_style_alone() -> None:
    settings = Transfer(
        width=8, first_steps=1, steps=1, batch=2, speaker_weight=1, phone_weight=1, entropy_weight=0, temperature=0.1,
        confidence=0.8, refresh=1,
    )  # fmt: skip
    torch.manual_seed(0)
    net = Net(6, 3, settings).eval()
    styles = torch.randn(2, 256)
    none = torch.zeros(2, 4, dtype=torch.long)
    one, other = (net(Batch(torch.randn(2, 4, 6), none, styles)).logits for _ in range(2))
    torch.testing.assert_close(one, other)
    assert torch.isfinite(one).all()
