"""Cue records of the emotion corpora, as the engine measures them: `python -m bench.quality.rationale.records`.

Clips of one speaker are strung together, as a call in which the mood changes at every turn, so that each turn has a
past of its own voice. The calls run through the chain level, vad, prosody, rationale; what is said of each turn is
written as one line of JSON, with the clip that it is about.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import soundfile

from rtemo_models.kit.corpora.clip import Clip, read_manifest

RATE_HZ = 16_000
CLIPS = 16
"""Of one call."""
_GAP_S = 1.2
_GAP_AMPLITUDE = 1e-4
_CHAIN = ("level", "vad", "prosody", "rationale")


def string(clips: list[Clip], seed: int) -> list[list[Clip]]:
    """Order the clips of each speaker at random and cut them into calls."""
    random = np.random.default_rng(seed)
    calls = []
    of_speaker: dict[tuple[str, str], list[Clip]] = {}
    for clip in clips:
        if clip.emotion:
            of_speaker.setdefault((clip.corpus, clip.speaker), []).append(clip)
    for own in of_speaker.values():
        order = random.permutation(len(own))
        calls += [[own[k] for k in order[at : at + CLIPS]] for at in range(0, len(own), CLIPS)]
    return calls


def write_call(path: Path, data: Path, clips: list[Clip]) -> list[tuple[int, int]]:
    """Write a call with its clips one after the other, unless it is there; give where each stands, in samples."""
    gap_samples = round(_GAP_S * RATE_HZ)
    spans, at = [], 0
    for clip in clips:
        found = soundfile.info(data / clip.path)
        assert found.samplerate == RATE_HZ, clip.path
        spans.append((at + gap_samples, at + gap_samples + found.frames))
        at = spans[-1][1]
    size = at + gap_samples
    if path.exists() and soundfile.info(path).frames == size:
        return spans
    sound = np.random.default_rng(len(clips)).normal(0.0, _GAP_AMPLITUDE, size)
    for clip, (start, end) in zip(clips, spans, strict=True):
        sound[start:end] = soundfile.read(data / clip.path, dtype="float32", frames=end - start)[0]
    soundfile.write(path, sound, RATE_HZ, subtype="PCM_16")
    return spans


def measured(work: Path, calls: Sequence[Path], jobs: int) -> Iterator[dict[str, Any]]:
    """Run the calls through the engine; what was said of turns, with the name of the call."""
    config, events = work / "records.toml", work / "events.jsonl"
    config.write_text(
        f"chain = {json.dumps(_CHAIN)}\n[plugins.rationale]\npatience_s = 0.0\non_change = false\n", encoding="utf-8"
    )
    command = [sys.executable, "-m", "rtemo", "analyze", *map(str, calls), "--config", str(config), "--quiet"]
    command += ["--jobs", str(jobs), "--events", str(events), "--out", str(work / "reports.jsonl")]
    subprocess.run(command, check=True)
    with events.open(encoding="utf-8") as lines:
        for line in lines:
            if '"rationale"' in line and (event := json.loads(line))["kind"] == "rationale":
                yield event


def main() -> None:
    """String, run and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=32)
    parser.add_argument("--every", type=int, default=1, help="only every so manieth call")
    given = parser.parse_args()
    work = given.work / "speech_lm"
    (work / "calls").mkdir(parents=True, exist_ok=True)
    clips = read_manifest(given.data / "emotion" / "manifest.csv")
    strung: dict[str, tuple[list[Clip], list[tuple[int, int]]]] = {}
    for number, call in list(enumerate(string(clips, seed=0)))[:: given.every]:
        name = f"{number:04d}"
        path = work / "calls" / f"{name}.flac"
        strung[name] = call, write_call(path, given.data, call)
    count = 0
    with (work / "records.jsonl").open("w", encoding="utf-8") as out:
        for event in measured(work, [work / "calls" / f"{name}.flac" for name in strung], given.jobs):
            call, spans = strung[Path(event["call"]).stem]
            start, end = event["start_sample"], event["end_sample"]
            overlap = [min(end, high) - max(start, low) for low, high in spans]
            best = int(np.argmax(overlap))
            clip, (low, high) = call[best], spans[best]
            line = {
                "path": clip.path,
                "corpus": clip.corpus,
                "speaker": f"{clip.corpus}/{clip.speaker}",
                "split": clip.split,
                "emotion": clip.emotion,
                "text": clip.text,
                "call": Path(event["call"]).stem,
                "turn": best,
                "start_sample": max(0, start - low),
                "end_sample": min(high, end) - low,
                "cues": event["data"].get("cues", []),
            }
            out.write(msgspec.json.encode(line).decode() + "\n")
            count += 1
    print(f"{count} turns of {len(strung)} calls in {work / 'records.jsonl'}")


if __name__ == "__main__":
    main()
