"""Print what the thresholds of the corpus pipeline were chosen by, on training speakers alone.

    python -m bench.quality.corpus.thresholds --data D [--minutes 20] [--out FILE]

D holds the manifests `emotion`, `clean` and `noise`. What is chosen stands in `rtemo.corpus.settings`.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

import rtemo  # noqa: F401 - what it switches off must be off before models are loaded
from bench.quality.corpus.scores import speaker_error
from bench.quality.corpus.several import chosen_by, judged
from bench.quality.corpus.strung import MUSIC, Strung, string_recordings
from bench.quality.vad.corpus import read_audio
from bench.quality.vad.telephony import music
from rtemo.corpus.diarisation import Diariser
from rtemo.corpus.models import CorpusModels
from rtemo.corpus.settings import CorpusSettings
from rtemo.corpus.voices import low_pitch_hz
from rtemo.dsp.music import steadiness
from rtemo.io.whole_file import write_whole

_JUDGED_MINUTES = 110.0
SAME_VOICE = (0.5, 0.55, 0.6, 0.65, 0.7)


def main() -> None:
    """Print a table for each threshold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="file that gets the tables, too")
    arguments = parser.parse_args()
    models = CorpusModels()
    recordings = string_recordings(arguments.data, "train", arguments.minutes, arguments.seed)
    lines: list[str] = []
    for more in (
        _same_voice(recordings, models),
        ["", "most_apart, most_changed:", ""],
        chosen_by(judged(arguments.data, "train", _JUDGED_MINUTES, [arguments.seed], models)),
        _same_speaker(recordings, models),
        _steady(recordings),
        _gender(arguments.data),
    ):
        print("\n".join(more), flush=True)
        lines += more
    if arguments.out is not None:
        write_whole(arguments.out, "\n".join([*lines, ""]).encode())


def _same_voice(recordings: list[Strung], models: CorpusModels) -> list[str]:
    speech = [models.finder.find(one.samples, CorpusSettings().pause_s) for one in recordings]
    lines = ["", "same_voice: share of the speech given to the wrong speaker, and voices told for those there:", ""]
    for likeness in SAME_VOICE:
        told = [
            Diariser(models.embedder, likeness).tell(one.samples, found)
            for one, found in zip(recordings, speech, strict=True)
        ]
        wrong = [
            speaker_error(one.spans, found.pieces, len(one.samples)).confused
            for one, found in zip(recordings, told, strict=True)
        ]
        counts = ", ".join(
            f"{len(found.voices)}/{len({span.speaker for span in one.spans})}"
            for one, found in zip(recordings, told, strict=True)
        )
        lines.append(f"    {likeness:.2f}  {np.mean(wrong):.3f}  {counts}")
    return lines


def _same_speaker(recordings: list[Strung], models: CorpusModels) -> list[str]:
    """Halves of a speaker's clips stand for two recordings; they have all moods in both."""
    sounds: dict[str, list[np.ndarray]] = {}
    for recording in recordings:
        for span in recording.spans:
            sounds.setdefault(span.speaker, []).append(recording.samples[span.start : span.end])
    halves = {}
    for speaker, clips in sounds.items():
        if len(clips) >= 6:
            vectors = models.embedder.embed_stretches(clips)
            sums = np.stack([vectors[::2].sum(axis=0), vectors[1::2].sum(axis=0)])
            halves[speaker] = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    names = sorted(halves)
    same = [float(halves[name][0] @ halves[name][1]) for name in names]
    other = [float(halves[a][0] @ halves[b][1]) for a in names for b in names if a < b]
    return [
        *("", "same_speaker: likeness of all that a speaker says in two recordings, and of two speakers:", ""),
        f"    one speaker ({len(same)}), 1, 5, 10, 50 %: {np.percentile(same, (1, 5, 10, 50)).round(3)}",
        f"    two ({len(other)}), 50, 90, 95, 99 %: {np.percentile(other, (50, 90, 95, 99)).round(3)}",
    ]


def _steady(recordings: list[Strung]) -> list[str]:
    speech = np.concatenate([steadiness(one.samples) for one in recordings])
    lines = ["", "steady: how steady blocks are:", ""]
    lines.append(f"    speech, 50, 90, 95, 98, 99 %: {np.percentile(speech, (50, 90, 95, 98, 99)).round(2)}")
    for kind in MUSIC:
        blocks = np.concatenate([steadiness(0.1 * music(kind, 15.0, seed).astype(np.float32)) for seed in range(6)])
        lines.append(f"    {kind}, 1, 5, 10, 25, 50 %: {np.percentile(blocks, (1, 5, 10, 25, 50)).round(2)}")
    return lines


def _gender(data: Path) -> list[str]:
    """By which quantile of pitch, and which bound, the genders of training speakers are told best, in all moods."""
    with (data / "emotion" / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train" and row["gender"] in ("F", "M")]
    clips: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        clips.setdefault((row["speaker"], row["gender"]), []).append(row["path"])
    kept = {speaker: paths[:: max(1, len(paths) // 12)][:12] for speaker, paths in clips.items() if len(paths) >= 6}
    sounds = {
        speaker: np.concatenate([read_audio(data / path).astype(np.float32) for path in paths])
        for speaker, paths in kept.items()
    }
    women = np.array([gender == "F" for _, gender in sounds])
    lines = ["", f"gender: share of {len(women)} speakers told right, mean of both genders, by the best bound:", ""]
    for percent in (5.0, 10.0, 20.0, 50.0):
        hz = np.array([low_pitch_hz(sound, percent) for sound in sounds.values()])
        right, bound_hz = max(
            (float((hz[women] > bound).mean() + (hz[~women] <= bound).mean()) / 2, bound) for bound in range(90, 260, 3)
        )
        lines.append(f"    quantile {percent:.0f} %  {right:.3f}  {bound_hz} Hz")
    return lines


if __name__ == "__main__":
    main()
