"""The decoder of speech_lm: trained a little on made-up turns, one position at a time as whole, and as a graph."""

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from rtemo.api import EMOTIONS  # noqa: E402
from rtemo.cues.baseline import UNITS  # noqa: E402
from rtemo.cues.writer import Writer  # noqa: E402
from rtemo.runtime import ModelStore  # noqa: E402
from rtemo_models.kit.recipe import read_recipe  # noqa: E402
from rtemo_models.systems.speech_lm.decode import decode  # noqa: E402
from rtemo_models.systems.speech_lm.examples import (  # noqa: E402
    PREFIX,
    UNKNOWN,
    Example,
    answer,
    prefix_values,
    turn_of,
    value_count,
    vocabulary,
)
from rtemo_models.systems.speech_lm.export import main as export  # noqa: E402
from rtemo_models.systems.speech_lm.net import SpeechLM, SpeechLMConfig, load  # noqa: E402
from rtemo_models.systems.speech_lm.score import faithfulness  # noqa: E402
from rtemo_models.systems.speech_lm.train import RECIPE, Recipe, SpeechLMRun, examples_of  # noqa: E402

pytestmark = pytest.mark.unit

WIDTH = 16


def lines(count: int) -> list[dict]:
    random = np.random.default_rng(0)
    made = []
    for number in range(count):
        cues = [
            {
                "name": name,
                "value": 100.0 + 50.0 * random.random() if name == "pitch" else random.random(),
                "unit": unit,
                "z": round(float(random.normal(0, 1.5)), 2),
                "change": round(float(random.normal(0, 2)), 2),
                "reference": "self",
                "start_sample": 0,
                "end_sample": 16_000,
            }
            for name, unit in UNITS.items()
        ]
        made.append(
            {
                "path": "",
                "corpus": "made",
                "speaker": f"s{number % 3}",
                "split": "dev" if number % 4 == 0 else "train",
                "emotion": EMOTIONS[number // 4 % len(EMOTIONS)],
                "text": "kids are talking",
                "turn": 0,
                "start_sample": 0,
                "end_sample": 16_000,
                "cues": cues,
            }
        )
    return made


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records and features as the steps before training leave them."""
    work = tmp_path_factory.mktemp("work")
    (work / "speech_lm").mkdir()
    made = lines(64)
    text = "".join(json.dumps(line) + "\n" for line in made)
    (work / "speech_lm" / "records.jsonl").write_text(text, encoding="utf-8")
    heard = np.random.default_rng(1).normal(0, 1, (64, 2, WIDTH)).astype(np.float32)
    for number, line in enumerate(made):
        heard[number, :, EMOTIONS.index(line["emotion"])] += 6.0
    np.savez(work / "speech_lm" / "features.npz", words=heard, logits=np.zeros((64, 8), np.float32), done=64)
    return work


def recipe(**changes: object) -> Recipe:
    return read_recipe((RECIPE, RECIPE.with_name("smoke.toml")), Recipe, tuple(f"{k}={v}" for k, v in changes.items()))


@pytest.fixture(scope="module")
def trained(work: Path) -> Path:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    settings = recipe(steps=80, batch=16, rate_peak=0.01, warmup_steps=5, average_decay=0.8, report_every_steps=80)
    SpeechLMRun(work / "run", settings, examples_of(work / "speech_lm", "train")).train()
    return work / "run" / "average.pt"


def test_a_short_training_teaches_labels_that_are_plain_to_hear(work: Path, trained: Path) -> None:
    net = load(trained)
    dev = examples_of(work / "speech_lm", "dev")
    said = decode(net, dev, "label", with_rationale=False)
    assert np.mean([one.label == e.label for one, e in zip(said, dev, strict=True)]) > 0.6


def test_positions_one_by_one_give_what_the_whole_sequence_gives() -> None:
    torch.manual_seed(3)
    words = vocabulary()
    config = SpeechLMConfig(vocabulary=words, values=value_count(WIDTH), width=32, layers=2, heads=4, positions=32)
    net = SpeechLM(config).eval()
    ids = torch.randint(len(words), (3, 20))
    values = torch.randn(3, PREFIX, config.values)
    with torch.no_grad():
        whole = net(ids, values)
        here, kept = net.fresh(3)
        for place in range(20):
            is_given = torch.full((3,), float(place < PREFIX))
            brought = values[:, place] if place < PREFIX else torch.zeros(3, config.values)
            logits, here, kept = net.step(ids[:, place].float(), brought, is_given, here, kept)
            torch.testing.assert_close(logits, whole[:, place], rtol=1e-3, atol=1e-4)


def test_the_graph_runs_with_its_state_in_the_runtime_and_says_the_same(
    trained: Path, tmp_path: Path, work: Path
) -> None:
    export.main(["--run", str(trained), "--out", str(tmp_path)], standalone_mode=False)
    model = ModelStore().load(str(tmp_path / "speech-lm"))
    net = load(trained)
    assert tuple(model.card.labels) == net.config.vocabulary
    example = examples_of(work / "speech_lm", "dev")[0]
    values = prefix_values(example, WIDTH)
    state = model.new_state(2)
    state.admit(0)
    state.admit(1)
    here, kept = net.fresh(1)
    with torch.no_grad():
        for place in range(PREFIX):
            inputs = {
                "token": np.full(2, 4.0 + place, np.float32),
                "values": np.stack([values[place]] * 2),
                "is_given": np.ones(2, np.float32),
            }
            got = model.run(inputs, state, 2)["logits"]
            wanted, here, kept = net.step(
                torch.tensor([4.0 + place]), torch.from_numpy(values[place])[None], torch.ones(1), here, kept
            )
            np.testing.assert_allclose(got, np.repeat(wanted.numpy(), 2, 0), atol=0.05)


def test_the_vocabulary_holds_every_word_of_the_teacher() -> None:
    ids = {word: number for number, word in enumerate(vocabulary())}
    writer = Writer("en")
    for number, line in enumerate(lines(40)):
        example = Example(np.zeros((2, WIDTH), np.float32), turn_of(line), number % len(EMOTIONS))
        for order in ("label", "rationale"):
            tokens, segments = answer(example, writer, ids, number, order)
            assert ids[UNKNOWN] not in tokens
            assert len(tokens) == len(segments)
            assert segments.count("label") == 1


def test_what_an_untrained_decoder_writes_is_not_taken_for_true(work: Path) -> None:
    torch.manual_seed(5)
    config = SpeechLMConfig(vocabulary=vocabulary(), values=value_count(WIDTH), width=16, layers=1, heads=2)
    dev = examples_of(work / "speech_lm", "dev")
    for order in ("label", "rationale"):
        written = decode(SpeechLM(config).eval(), dev, order)
        assert all(0 <= one.label < len(EMOTIONS) for one in written)
        assert faithfulness(dev, written)["rationales_hold"] < 0.5
