"""Emotion plugins through the engine: `python -m bench.quality.emotion.through_engine --data DIR`.

Every dev clip is a call of its own and goes through `vad` and the plugin, in freewheel, hop by hop as live; what counts
is what its `emotion` events say when so many seconds have been heard, and at the end. A clip about which
nothing is said counts as wrong. UAR is over the corpus' own classes; intervals draw whole speakers.
"""

import argparse
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.quality.clip_source import ClipSource
from bench.quality.emotion.calibrate import fit_temperature
from bench.quality.emotion.streams import write_json
from rtemo.api import EMOTIONS, Emotion, Event, Fault, Payload, RtemoError, SpeechEnd
from rtemo.config import Config
from rtemo.scoring.classes import calibration_error, uar, uar_interval
from rtemo.session import Session
from rtemo_models.kit.corpora.clip import Clip
from rtemo_models.systems.merit_large.data import Sounds, open_sounds, under

MOMENTS_S = (1.0, 2.0, 4.0)
CONDITIONS = ("clean", "telephone", "noise_10db", "noise_0db")
CORPORA = ("ravdess", "nemo", "ased", "rakshak", "ketts", "crema")
CHAINS = {"listener": ("vad", "listener"), "merit": ("vad", "merit")}
_MERGED = np.array([0 if name == "calm" else k for k, name in enumerate(EMOTIONS)])


class _Tally:
    name = "tally"

    def __init__(self, kinds: tuple[type[Payload], ...]) -> None:
        self._kinds = kinds
        self.faults: list[Fault] = []
        self.events: dict[str, list[Event]] = {}
        self._lock = threading.Lock()

    def open(self) -> None: ...
    def tick(self) -> None: ...
    def close(self) -> None: ...

    def publish(self, events: Sequence[Event]) -> None:
        with self._lock:
            for event in events:
                if isinstance(event.data, self._kinds):
                    self.events.setdefault(event.call, []).append(event)
                elif isinstance(event.data, Fault):
                    self.faults.append(event.data)


def hear(
    plugin: str, clips: Iterator[tuple[str, NDArray[np.float32]]], bundle: str, parallel: int = 32
) -> dict[str, list[Emotion]]:
    """What a plugin says of clips."""
    said = play(plugin, clips, bundle, parallel)
    return {call: [e.data for e in events if isinstance(e.data, Emotion)] for call, events in said.items()}


def play(
    plugin: str, clips: Iterator[tuple[str, NDArray[np.float32]]], bundle: str, parallel: int = 32
) -> dict[str, list[Event]]:
    """Events `emotion` and `speech_end` of clips, each a call of its own.

    Raises:
        RtemoError: Something failed in the engine.
    """
    options: dict[str, Any] = {"merit": {"enhance": False}, "listener": {"max_batch": parallel}}.get(plugin, {})
    if bundle:
        options = options | {"bundle" if plugin == "listener" else "listen_bundle": bundle}
    return play_chain(CHAINS[plugin], {plugin: options}, clips, (Emotion, SpeechEnd), parallel)


def play_chain(
    chain: tuple[str, ...],
    plugins: dict[str, dict[str, Any]],
    clips: Iterator[tuple[str, NDArray[np.float32]]],
    kinds: tuple[type[Payload], ...],
    parallel: int = 32,
) -> dict[str, list[Event]]:
    """Events of some kinds of clips, each a call of its own, through any chain.

    Raises:
        RtemoError: Something failed in the engine.
    """
    config = msgspec.structs.replace(Config(), chain=chain, plugins=plugins)
    engine = msgspec.structs.replace(config.engine, capacity=2 * parallel, hang_s=60.0)
    source, tally = ClipSource(clips, parallel), _Tally(kinds)
    session = Session(
        msgspec.structs.replace(config, engine=engine), sources=[source], publishers=[tally], mode="freewheel"
    )
    session.start()
    try:
        while not session.wait(0.1):
            if source.failure or tally.faults:
                break
    finally:
        session.stop()
    if source.failure:
        raise source.failure
    if tally.faults:
        raise RtemoError(f"{tally.faults[0].where} failed in the engine ({tally.faults[0].problem})", "mend it first")
    return tally.events


def posterior(said: list[Emotion], seconds: float | None) -> tuple[NDArray[np.float64], float, float]:
    """Probabilities, arousal and valence at a moment; NaN where nothing was said.

    As `rtemo analyze` has it: the mean over the turns so far, each by the seconds of speech it rests on.
    """
    values = np.full(len(EMOTIONS) + 2, np.nan)
    total, closed_s = np.zeros(len(EMOTIONS) + 2), 0.0
    for one in said:
        now = np.array([*(one.probabilities[name] for name in EMOTIONS), one.arousal, one.valence])
        values = (total + one.speech_s * now) / (closed_s + one.speech_s)
        if seconds is not None and closed_s + one.speech_s >= seconds - 1e-6:
            break
        if one.is_final:
            total, closed_s = total + one.speech_s * now, closed_s + one.speech_s
    return values[:-2], float(values[-2]), float(values[-1])


def score(clips: list[Clip], heard: list[list[Emotion]]) -> dict[str, Any]:
    """UAR of each corpus at every moment, its interval at the end, and how many clips were never spoken of."""
    result: dict[str, Any] = {}
    for corpus in CORPORA:
        rows = [k for k, clip in enumerate(clips) if clip.corpus == corpus]
        if not rows:
            continue
        truth = np.array([clips[k].label for k in rows])
        classes = np.unique(truth)
        entry: dict[str, Any] = {"unheard": sum(not heard[k] for k in rows), "clips": len(rows)}
        for moment in (*MOMENTS_S, None):
            values = np.stack([posterior(heard[k], moment)[0] for k in rows])
            known = np.isfinite(values[:, 0])
            said = np.where(known, classes[np.nan_to_num(values)[:, classes].argmax(1)], -1)
            entry["end" if moment is None else f"{moment:g}s"] = round(uar(truth, said), 3)
            if moment is None:
                low, high = uar_interval(truth, said, [clips[k].speaker for k in rows])
                entry["interval"] = (round(low, 2), round(high, 2))
                entry["all_eight"] = round(uar(_MERGED[truth], np.where(known, _seven(values).argmax(1), -1)), 3)
        result[corpus] = entry
    return result


def _seven(values: NDArray[np.float64]) -> NDArray[np.float64]:
    merged = np.nan_to_num(values).copy()
    merged[:, 0] += merged[:, 1]
    merged[:, 1] = 0
    return merged


def pairs(clips: list[Clip], heard: list[list[Emotion]], axis: int, gap: float = 0.5) -> float:
    """Share of pairs of one speaker, targets at least so far apart, that arousal (1) or valence (2) puts in order."""
    right = total = 0
    by: dict[str, list[tuple[float, float]]] = {}
    for clip, said in zip(clips, heard, strict=True):
        target = clip.valence_arousal[1 if axis == 1 else 0]
        value = posterior(said, None)[axis]
        if target == target and value == value:
            by.setdefault(f"{clip.corpus}/{clip.speaker}", []).append((target, float(value)))
    for values in by.values():
        t, v = np.array(values).T
        clear = t[:, None] - t[None] >= gap
        right += int((clear & (v[:, None] > v[None])).sum())
        total += int(clear.sum())
    return right / max(total, 1)


def calibration(clips: list[Clip], heard: dict[str, list[list[Emotion]]]) -> dict[str, float]:
    """Temperature, error and coverage of the committed label, the eight open, corpora weighing the same.

    Fitted on one half of the speakers and scored on the other; calm and neutral are one.
    """
    rows = [(k, c) for c in heard for k, clip in enumerate(clips) if clip.label >= 0 and heard[c][k]]
    logits = np.log(np.stack([posterior(heard[c][k], None)[0] for k, c in rows]).clip(1e-4))
    truth = np.array([_MERGED[clips[k].label] for k, _ in rows])
    corpora = np.array([clips[k].corpus for k, _ in rows])
    share = np.array([1.0 / np.sum(corpora == c) for c in corpora])
    speakers = sorted({clips[k].speaker for k, _ in rows})
    half = np.array([speakers.index(clips[k].speaker) % 2 for k, _ in rows])
    is_right = _MERGED[None] == truth[:, None]
    found = [fit_temperature(logits[half != h], is_right[half != h], share[half != h]) for h in (0, 1)]
    tempered = _softmax(logits / np.array(found)[half][:, None])
    result: dict[str, float] = {"temperature": round(fit_temperature(logits, is_right, share), 3)}
    for name, values in (("before", np.exp(logits)), ("after", tempered)):
        seven = _seven(values / values.sum(1, keepdims=True))
        right = seven.argmax(1) == truth
        result[f"ece_{name}"] = round(calibration_error(seven.max(1), right, share), 3)
        for c in heard:
            of = np.array([condition == c for _, condition in rows])
            result[f"ece_{name}_{c}"] = round(calibration_error(seven[of].max(1), right[of], share[of]), 3)
    order = np.argsort(-seven.max(1))
    covered = np.cumsum(share[order]) / share.sum()
    hit = np.cumsum((share * right)[order]) / np.cumsum(share[order])
    for coverage in (1.0, 0.8, 0.6, 0.4):
        place = int(np.searchsorted(covered, coverage - 1e-9))
        result[f"accuracy_at_{coverage:g}"] = round(float(hit[place]), 3)
        if coverage == 0.6:
            result["unsure_below"] = round(float(seven.max(1)[order][place]), 3)
    return result


def _softmax(x: NDArray[np.float64]) -> NDArray[np.float64]:
    e = np.exp(x - x.max(1, keepdims=True))
    return np.asarray(e / e.sum(1, keepdims=True))


def dev_clips(sounds: Sounds, corpora: Sequence[str]) -> list[int]:
    """The dev clips of some corpora."""
    return [i for i in sounds.rows("dev") if sounds.clips[i].corpus in corpora and sounds.clips[i].label >= 0]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for decoded audio")
    parser.add_argument("--plugin", choices=CHAINS, default="listener")
    parser.add_argument("--bundle", default="", help="name or folder; the plugin's own by default")
    parser.add_argument("--corpora", nargs="+", choices=CORPORA, default=CORPORA)
    parser.add_argument("--conditions", nargs="+", choices=CONDITIONS, default=CONDITIONS)
    parser.add_argument("--every", type=int, default=1, help="one in so many of the clips of nemo and ased")
    parser.add_argument("--out", type=Path, help="results as JSON")
    parser.add_argument("--events", type=Path, help="what was said of each clip, as JSON")
    options = parser.parse_args()
    sounds = open_sounds(options.data, options.work)
    rows = dev_clips(sounds, options.corpora)
    rows = [i for k, i in enumerate(rows) if sounds.clips[i].corpus not in ("nemo", "ased") or k % options.every == 0]
    clips = [sounds.clips[i] for i in rows]
    heard: dict[str, list[list[Emotion]]] = {}
    scores: dict[str, dict[str, Any]] = {}
    out = sys.stdout
    out.write(
        "| condition | corpus | clips (unheard) | 1 s | 2 s | 4 s | end | 95 % by speaker | seven words, all open |\n"
    )
    out.write("|---|---|---|---|---|---|---|---|---|\n")
    for condition in options.conditions:
        made = ((str(i), under(condition, sounds.audio.samples(i), i, sounds.noises["dev"])) for i in rows)
        said = hear(options.plugin, made, options.bundle)
        heard[condition] = [said.get(str(i), []) for i in rows]
        scores[condition] = score(clips, heard[condition])
        if options.events:
            told = {sounds.clips[i].path: msgspec.to_builtins(said.get(str(i), [])) for i in rows}
            write_json(options.events.with_suffix(f".{condition}.json"), told)
        for corpus, e in scores[condition].items():
            out.write(
                f"| {condition} | {corpus} | {e['clips']} ({e['unheard']}) "
                f"| {e['1s']:.3f} | {e['2s']:.3f} | {e['4s']:.3f} "
                f"| {e['end']:.3f} | {e['interval'][0]:.2f}-{e['interval'][1]:.2f} | {e['all_eight']:.3f} |\n"
            )
        arousal, valence = (pairs(clips, heard[condition], axis) for axis in (1, 2))
        out.write(f"\n{condition}: pairs in order with a clear gap: arousal {arousal:.3f}, valence {valence:.3f}\n\n")
        out.flush()
    found = calibration(clips, heard)
    for name, value in found.items():
        out.write(f"  {name}: {value}\n")
    if options.out:
        write_json(options.out, {"scores": scores, "calibration": found})


if __name__ == "__main__":
    main()
