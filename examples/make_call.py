"""Make the example call: `python examples/make_call.py --data DIR [--out examples/call.flac]`.

A caller, a friend and the voice of a door camera, a channel each. The two people are actors of RAVDESS, whose
recordings lie anywhere under DIR, named as they are published (`Actor_19/03-01-05-02-01-01-19.wav`), in any format
that soundfile reads; both are of the actors that were kept out of training. The camera is espeak-ng. Who says what,
and in what mood, stands in `SCRIPT`: clips were chosen so that the moods are heard and no person is taken for a
machine, so the call is an illustration and no measurement. Each side gets a room of its own and goes through a
telephone line: 300 to 3400 Hz, 8 kHz, mu-law. Licence of the recording: call.LICENSE.md.
"""

import argparse
import math
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from subprocess import run

import numpy as np
import soundfile
from numpy.typing import NDArray

from rtemo.dsp.companding import decode_mulaw, encode_mulaw
from rtemo.dsp.filters import Biquads, Section, butterworth_high_pass, butterworth_low_pass
from rtemo.dsp.resample import resample

LINE_HZ = 8_000
TURN_PAUSE_S = 0.8
SENTENCE_PAUSE_S = 0.25
END_S = 1.5
EVENNESS = 0.7
"""Share of the difference in level between sentences of a party that the gain control of a telephone takes away."""


@dataclass(frozen=True)
class Party:
    """Who speaks on a channel: the actor of RAVDESS or the voice of espeak-ng, level of speech and of the room."""

    voice: str
    speech_dbfs: float
    room_dbfs: float
    hum_hz: float


CALLER, FRIEND, CAMERA = range(3)
PARTIES = {
    CALLER: Party("19", -26.0, -64.0, 100.0),
    FRIEND: Party("20", -33.0, -70.0, 150.0),
    CAMERA: Party("en-us+m3", -24.0, -66.0, 200.0),
}

# RAVDESS names a clip by emotion (02 calm, 03 happy, 04 sad, 05 angry, 06 fear, 08 surprise), strength (01 normal,
# 02 strong), sentence (01 "Kids are talking by the door", 02 "Dogs are sitting by the door") and repetition.
SCRIPT: list[tuple[int, tuple[str, ...]]] = [
    (CAMERA, ("Hello. This is the camera at your front door. It looks as if somebody is at the door.",)),
    (CALLER, ("02-01-01-02",)),
    (FRIEND, ("02-02-01-02",)),
    (CALLER, ("08-01-02-02",)),
    (FRIEND, ("08-02-01-02",)),
    (CALLER, ("06-02-02-01", "06-02-01-01")),
    (CAMERA, ("I can hear dogs. I am opening the door.",)),
    (FRIEND, ("05-01-02-02",)),
    (CALLER, ("05-02-01-01", "05-02-02-02")),
    (CAMERA, ("Thank you. The door is open now.",)),
    (CALLER, ("05-02-01-02",)),
    (FRIEND, ("04-01-02-02",)),
    (CALLER, ("04-01-01-02",)),
    (FRIEND, ("02-01-01-02",)),
    (CALLER, ("02-02-01-01",)),
    (FRIEND, ("03-02-01-02",)),
]


def recorded(folder: Path, actor: str, clip: str) -> NDArray[np.float32]:
    """Read a clip of RAVDESS, without the silence around it; float32 [k] at the rate of the line."""
    stem = f"03-01-{clip}-{actor}"
    paths = sorted(folder.rglob(f"{stem}.*"))
    if not paths:
        sys.exit(
            f"make_call: no {stem}.wav under {folder}; --data wants the folder of the speech recordings of RAVDESS "
            "(Audio_Speech_Actors_01-24.zip of https://zenodo.org/records/1188976, unpacked)"
        )
    samples, rate_hz = soundfile.read(paths[0], dtype="float32", always_2d=True)  # a few have two channels
    return trimmed(resample(samples.mean(axis=1), rate_hz, LINE_HZ))


def spoken(text: str, voice: str) -> NDArray[np.float32]:
    """Speak a text with espeak-ng; float32 [k] at the rate of the line."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        run(["espeak-ng", "-v", voice, "-w", str(path), text], check=True)
        samples, rate_hz = soundfile.read(path, dtype="float32")
    return trimmed(resample(samples, rate_hz, LINE_HZ))


def sentence(folder: Path, who: int, part: str) -> NDArray[np.float32]:
    """One sentence of a party: a clip of an actor, or a text that the camera speaks."""
    voice = PARTIES[who].voice
    return spoken(part, voice) if who == CAMERA else recorded(folder, voice, part)


def trimmed(samples: NDArray[np.float32], floor_db: float = 30.0, margin_s: float = 0.06) -> NDArray[np.float32]:
    """Cut off what lies more than `floor_db` under the loudest 20 ms before the first and after the last sound."""
    frame = LINE_HZ // 50
    frames = samples[: samples.size // frame * frame].reshape(-1, frame)
    power = np.square(frames).mean(axis=1)
    loud = np.flatnonzero(power > power.max() * 10 ** (-floor_db / 10))
    margin = round(margin_s * LINE_HZ)
    return samples[max(0, loud[0] * frame - margin) : (loud[-1] + 1) * frame + margin]


def level_dbfs(samples: NDArray[np.float32]) -> float:
    """Level of speech, RMS over what is not far under the loudest."""
    return 20 * math.log10(samples[np.abs(samples) > 0.05 * np.abs(samples).max()].std())


def through(samples: NDArray[np.float32], *sections: Section) -> NDArray[np.float32]:
    """Filter a whole recording with the engine's own streaming kernel."""
    hop = 160
    padded = np.zeros(-(-samples.size // hop) * hop, np.float32)
    padded[: samples.size] = samples
    filters = Biquads(1, sections, hop_samples=hop)
    filters.admit(0)
    out = [filters.process(padded[at : at + hop][None]).copy()[0] for at in range(0, padded.size, hop)]
    return np.concatenate(out)[: samples.size]


def room(count_samples: int, rng: np.random.Generator, level_dbfs: float, hum_hz: float) -> NDArray[np.float32]:
    """Make the sound of a room: low noise that swells a little, and a faint hum."""
    noise = rng.normal(0.0, 1.0, count_samples).astype(np.float32)
    noise = through(noise, Section.low_shelf(500.0, LINE_HZ, 12.0), Section.high_shelf(1_500.0, LINE_HZ, -12.0))
    time_s = np.arange(count_samples) / LINE_HZ
    swell = 1.0 + 0.4 * np.sin(2 * np.pi * 0.13 * time_s + rng.uniform(0, 6))
    hum = 0.3 * np.sin(2 * np.pi * hum_hz * time_s)
    sound = noise / noise.std() * swell + hum
    return (sound * 10 ** (level_dbfs / 20)).astype(np.float32)


def make_call(folder: Path) -> NDArray[np.float32]:
    """Make the call, float32 [k, 3] at 8 kHz."""
    turns = [(who, [sentence(folder, who, part) for part in parts]) for who, parts in SCRIPT]
    levels: dict[int, list[float]] = {who: [] for who in PARTIES}
    for who, clips in turns:
        levels[who] += [level_dbfs(clip) for clip in clips]
    usual_dbfs = {who: sum(heard) / len(heard) for who, heard in levels.items()}
    lines: list[tuple[int, int, NDArray[np.float32]]] = []
    at_s = 0.0
    for who, clips in turns:
        at_s += TURN_PAUSE_S - SENTENCE_PAUSE_S
        for clip in clips:
            at_s += SENTENCE_PAUSE_S
            own_db = (1 - EVENNESS) * (level_dbfs(clip) - usual_dbfs[who])
            gain_db = PARTIES[who].speech_dbfs + own_db - level_dbfs(clip)
            lines.append((who, round(at_s * LINE_HZ), clip * np.float32(10 ** (gain_db / 20))))
            at_s += clip.size / LINE_HZ
    call = np.zeros((round((at_s + END_S) * LINE_HZ), len(PARTIES)), np.float32)
    for who, start, clip in lines:
        call[start : start + clip.size, who] += clip
    band = (*butterworth_high_pass(4, 300.0, LINE_HZ), *butterworth_low_pass(4, 3_400.0, LINE_HZ))
    for who, party in PARTIES.items():
        side = through(
            call[:, who] + room(len(call), np.random.default_rng([7, who]), party.room_dbfs, party.hum_hz), *band
        )
        call[:, who] = decode_mulaw(encode_mulaw(side))
    return call


def main() -> None:
    """Write the call as FLAC."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of the recordings of RAVDESS")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("call.flac"))
    arguments = parser.parse_args()
    if shutil.which("espeak-ng") is None:
        sys.exit("make_call: espeak-ng is needed; on Debian: apt-get install espeak-ng")
    call = make_call(arguments.data)
    soundfile.write(arguments.out, call, LINE_HZ, subtype="PCM_16")
    size_kib = arguments.out.stat().st_size / 1024
    print(f"{arguments.out}: {len(call) / LINE_HZ:.1f} s, {size_kib:.0f} KiB")


if __name__ == "__main__":
    main()
