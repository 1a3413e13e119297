"""Make the example call: `python examples/make_call.py [--out examples/call.flac]`.

Two parties speak through espeak-ng, an agent (left) and a caller (right) whose mood goes from worried over angry to
relieved. Moods are prosody (pitch, range and rate through SSML), level and timbre. Each side gets
background noise of its own and goes through a telephone line: 300 to 3400 Hz, 8 kHz, mu-law.
"""

import argparse
import io
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from rtemo.dsp.companding import decode_mulaw, encode_mulaw
from rtemo.dsp.filters import Biquads, Section, butterworth_high_pass, butterworth_low_pass
from rtemo.dsp.resample import resample

LINE_HZ = 8_000


@dataclass(frozen=True)
class Mood:
    """How a sentence is spoken."""

    pitch: str
    range: str
    rate: str
    level_db: float
    brightness_db: float


MOODS = {
    "neutral": Mood("+0%", "+0%", "medium", -24.0, 0.0),
    "worried": Mood("+15%", "+10%", "95%", -24.0, -1.0),
    "angry": Mood("+35%", "+120%", "125%", -16.0, 9.0),
    "sad": Mood("-20%", "-50%", "75%", -29.0, -6.0),
    "happy": Mood("+45%", "+150%", "115%", -19.0, 4.0),
}

AGENT, CALLER = 0, 1
VOICES = {AGENT: "en-us+m3", CALLER: "en-gb+f2"}

SCRIPT = [
    (AGENT, "neutral", 0.6, "Good morning, you are through to the support desk. How can I help you?"),
    (CALLER, "worried", 0.5, "Hello. My parcel was meant to be here on Monday, and I still have nothing."),
    (AGENT, "neutral", 0.5, "I am sorry to hear that. Let me look it up for you."),
    (CALLER, "angry", 0.4, "This is the third time I call! Nobody tells me anything! I want my money back, right now!"),
    (AGENT, "neutral", 0.6, "I understand. I can see it here, it has been at the depot since Tuesday."),
    (CALLER, "sad", 0.8, "It was a birthday present for my daughter. She was so disappointed."),
    (AGENT, "neutral", 0.5, "I have sent it out by express. It will be with you today before noon."),
    (CALLER, "happy", 0.4, "Oh, that is wonderful! Thank you so much, you really made my day!"),
]


def speak(text: str, mood: Mood, voice: str) -> tuple[NDArray[np.float32], int]:
    """Speak a sentence with espeak-ng; returns float32 [k] and its rate."""
    markup = f'<speak><prosody pitch="{mood.pitch}" range="{mood.range}" rate="{mood.rate}">{text}</prosody></speak>'
    sound = subprocess.run(["espeak-ng", "-m", "-v", voice, "--stdout", markup], check=True, capture_output=True).stdout
    # The header of a pipe does not know its length; soundfile wants it right.
    samples = np.frombuffer(sound[44:], "<i2").astype(np.float32) / 32768.0
    return samples, int(soundfile.info(io.BytesIO(sound[:44] + b"\0\0")).samplerate)


def through(samples: NDArray[np.float32], *sections: Section) -> NDArray[np.float32]:
    """Filter a whole recording with the engine's own streaming kernel."""
    hop = 160
    padded = np.zeros(-(-samples.size // hop) * hop, np.float32)
    padded[: samples.size] = samples
    filters = Biquads(1, sections, hop_samples=hop)
    filters.admit(0)
    out = [filters.process(padded[at : at + hop][None]).copy()[0] for at in range(0, padded.size, hop)]
    return np.concatenate(out)[: samples.size]


def background(count_samples: int, rng: np.random.Generator, level_db: float, hum_hz: float) -> NDArray[np.float32]:
    """Make the sound of a room: low noise that swells a little, and a faint hum."""
    noise = rng.normal(0.0, 1.0, count_samples).astype(np.float32)
    noise = through(noise, Section.low_shelf(500.0, LINE_HZ, 12.0), Section.high_shelf(1_500.0, LINE_HZ, -12.0))
    time_s = np.arange(count_samples) / LINE_HZ
    swell = 1.0 + 0.4 * np.sin(2 * np.pi * 0.13 * time_s + rng.uniform(0, 6))
    hum = 0.3 * np.sin(2 * np.pi * hum_hz * time_s)
    sound = noise / noise.std() * swell + hum
    return (sound * 10 ** (level_db / 20)).astype(np.float32)


def make_call() -> NDArray[np.float32]:
    """Make the call, float32 [k, 2] at 8 kHz."""
    rng = np.random.default_rng(7)
    lines: list[tuple[int, int, NDArray[np.float32]]] = []
    at_s = 0.0
    for party, name, pause_s, text in SCRIPT:
        mood = MOODS[name]
        voice, rate_hz = speak(text, mood, VOICES[party])
        voice = resample(voice, rate_hz, LINE_HZ)
        voice = through(voice, Section.peaking(2_200.0, LINE_HZ, 0.8, mood.brightness_db))
        voice = voice * (10 ** (mood.level_db / 20) / voice[np.abs(voice) > 1e-3].std())
        at_s += pause_s
        lines.append((party, round(at_s * LINE_HZ), np.tanh(1.5 * voice) / 1.5))
        at_s += voice.size / LINE_HZ
    call = np.zeros((round((at_s + 1.0) * LINE_HZ), 2), np.float32)
    for party, start, voice in lines:
        call[start : start + voice.size, party] += voice
    band = (*butterworth_high_pass(4, 300.0, LINE_HZ), *butterworth_low_pass(4, 3_400.0, LINE_HZ))
    for party, level_db, hum_hz in ((AGENT, -52.0, 150.0), (CALLER, -46.0, 100.0)):
        side = through(call[:, party] + background(len(call), rng, level_db, hum_hz), *band)
        call[:, party] = decode_mulaw(encode_mulaw(side))
    return call


def main() -> None:
    """Write the call as FLAC."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("call.flac"))
    arguments = parser.parse_args()
    if shutil.which("espeak-ng") is None:
        sys.exit("make_call: espeak-ng is needed; on Debian: apt-get install espeak-ng")
    call = make_call()
    soundfile.write(arguments.out, call, LINE_HZ, subtype="PCM_16")
    size_kib = arguments.out.stat().st_size / 1024
    print(f"{arguments.out}: {len(call) / LINE_HZ:.1f} s, {size_kib:.0f} KiB")


if __name__ == "__main__":
    main()
