"""Sounds of a telephone line that nobody speaks: tones, digits, hum, comfort noise, and music on hold."""

from collections.abc import Iterator

import numpy as np
from scipy.signal import butter, lfilter, sosfilt

from bench.quality.vad.corpus import RATE_HZ, telephone

DIGITS = {
    digit: (row_hz, column_hz)
    for row_hz, row in zip((697, 770, 852, 941), ("123A", "456B", "789C", "*0#D"), strict=True)
    for column_hz, digit in zip((1209, 1336, 1477, 1633), row, strict=True)
}
"""Digit → its two frequencies (ITU-T Q.23)."""

CALL_PROGRESS = {
    "dial US": ((350, 440), ()),
    "dial EU": ((425,), ()),
    "ringback US": ((440, 480), (2.0, 4.0)),
    "ringback EU": ((425,), (1.0, 4.0)),
    "ringback UK": ((400, 450), (0.4, 0.2, 0.4, 2.0)),
    "busy US": ((480, 620), (0.5, 0.5)),
    "busy EU": ((425,), (0.5, 0.5)),
    "reorder US": ((480, 620), (0.25, 0.25)),
    "fax CNG": ((1100,), (0.5, 3.0)),
    "fax CED": ((2100,), ()),
    "1 kHz": ((1000,), ()),
}
"""Name → frequencies in Hz and cadence in s, on and off in turn (ITU-T E.180); no cadence for a steady tone."""

_SCALE = (0, 2, 4, 5, 7, 9, 11, 12)


def tone(frequencies_hz, cadence_s, duration_s: float) -> np.ndarray:
    """Sum sines of equal size, keyed by a cadence with ramps of 2 ms."""
    t = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    sound = sum(np.sin(2 * np.pi * f * t) for f in frequencies_hz)
    if cadence_s:
        edges = np.cumsum(cadence_s)
        gate = np.searchsorted(edges, t % edges[-1], side="right") % 2 == 0
        sound = sound * np.convolve(gate, np.ones(32) / 32, mode="same")
    return sound / len(frequencies_hz)


def digits(text: str, on_s: float = 0.08, off_s: float = 0.08) -> np.ndarray:
    """Dial digits."""
    return np.concatenate([np.pad(tone(DIGITS[d], (), on_s), (0, round(off_s * RATE_HZ))) for d in text])


def hum(mains_hz: float, duration_s: float, seed: int = 0) -> np.ndarray:
    """Mains hum with harmonics that fall with their number."""
    random = np.random.default_rng(seed)
    t = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    phases = random.uniform(0, 2 * np.pi, 12)
    return sum(np.sin(2 * np.pi * mains_hz * k * t + phases[k - 1]) / k for k in range(1, 13))


def comfort_noise(duration_s: float, seed: int = 0) -> np.ndarray:
    """Noise of the slope of a room, its level re-drawn every 20 to 200 ms within 2 dB."""
    random = np.random.default_rng(seed)
    size = round(duration_s * RATE_HZ)
    noise = lfilter([1.0], [1.0, -0.9], random.standard_normal(size))
    at = 0
    while at < size:
        length = int(random.uniform(0.02, 0.2) * RATE_HZ)
        noise[at : at + length] *= 10 ** (random.uniform(-1, 1) / 20)
        at += length
    return noise


def music(kind: str, duration_s: float, seed: int) -> np.ndarray:
    """Compose music by rule: `chords`, `melody`, `strings` or `pop`, of plucked, blown, bowed and electric timbres."""
    random = np.random.default_rng(seed)
    out = np.zeros(round(duration_s * RATE_HZ) + 4 * RATE_HZ)
    beat_s = 60 / random.uniform(80, 130)
    key = random.integers(-5, 6)
    at_s, beat = 0.0, 0
    root = 0
    while at_s < duration_s:
        if beat % 4 == 0:
            root = random.choice([0, 5, 7, 9])
        chord = [key + root + step for step in (0, 4 if root != 9 else 3, 7)]
        if kind in ("chords", "pop", "strings") and beat % (2 if kind == "chords" else 4) == 0:
            length_s = beat_s * (2 if kind == "chords" else 4)
            timbre = {"chords": "piano", "pop": "organ", "strings": "bowed"}[kind]
            for note in chord:
                _add(out, at_s, _note(note, length_s * 1.05, timbre, random), 0.3)
        if kind in ("melody", "pop"):
            for part in range(random.integers(1, 3)):
                note = key + 12 + random.choice(_SCALE)
                timbre = ("flute", "piano", "bowed", "guitar")[seed % 4]
                _add(out, at_s + part * beat_s / 2, _note(note, beat_s * random.choice([0.5, 1]), timbre, random), 0.4)
        if kind == "pop":
            _add(out, at_s, _drum("kick" if beat % 2 == 0 else "snare", random), 0.6)
            for part in range(2):
                _add(out, at_s + part * beat_s / 2, _drum("hat", random), 0.15)
            _add(out, at_s, _note(key + root - 24, beat_s * 0.9, "guitar", random), 0.5)
        at_s += beat_s
        beat += 1
    return out[: round(duration_s * RATE_HZ)]


def _add(out: np.ndarray, at_s: float, sound: np.ndarray, gain: float) -> None:
    start = round(at_s * RATE_HZ)
    end = min(len(out), start + len(sound))
    if end > start:
        out[start:end] += gain * sound[: end - start]


def _note(semitones: float, duration_s: float, timbre: str, random: np.random.Generator) -> np.ndarray:
    """One note, semitones above middle C."""
    t = np.arange(round(duration_s * RATE_HZ)) / RATE_HZ
    f0_hz = 261.63 * 2 ** (semitones / 12)
    sway = np.sin(2 * np.pi * 5.3 * t + random.uniform(0, 6))
    vibrato = 1.0 if timbre in ("piano", "guitar", "organ") else 1 + 0.006 * sway
    phase = 2 * np.pi * np.cumsum(f0_hz * vibrato * np.ones(len(t))) / RATE_HZ
    count = max(1, min(16, int(7000 / f0_hz)))
    k = np.arange(1, count + 1)
    weights = {"piano": k**-1.4, "guitar": k**-1.1, "organ": np.isin(k, (1, 2, 3, 4, 6, 8)) * k**-0.5,
               "flute": k**-2.5, "bowed": k**-0.9}[timbre]  # fmt: skip
    sound = sum(w * np.sin(n * phase + random.uniform(0, 6)) for n, w in zip(k, weights, strict=True) if w > 1e-3)
    is_struck = timbre in ("piano", "guitar")
    envelope = np.exp(-t / 0.6) * np.minimum(1, t / 0.004) if is_struck else np.minimum(1, t / 0.05)
    release = np.minimum(1, (duration_s - t) / 0.04)
    return sound * envelope * np.maximum(release, 0) / np.sqrt(np.sum(weights**2))


def _drum(kind: str, random: np.random.Generator) -> np.ndarray:
    t = np.arange(round(0.25 * RATE_HZ)) / RATE_HZ
    if kind == "kick":
        return np.sin(2 * np.pi * (50 * t + 30 * (1 - np.exp(-t / 0.03)) * 0.1)) * np.exp(-t / 0.08)
    noise = random.standard_normal(len(t))
    if kind == "hat":
        return sosfilt(butter(2, 5000, "highpass", fs=RATE_HZ, output="sos"), noise) * np.exp(-t / 0.03)
    return 0.5 * noise * np.exp(-t / 0.07) + 0.5 * np.sin(2 * np.pi * 190 * t) * np.exp(-t / 0.06)


def at_level(sound: np.ndarray, dbfs: float) -> np.ndarray:
    """Scale to a level over the parts that are not silent, and add the faintest of noise."""
    active = np.abs(sound) > 1e-3 * np.abs(sound).max()
    sound = sound * 10 ** (dbfs / 20) / np.sqrt(np.mean(sound[active] ** 2))
    noise = np.random.default_rng(0).standard_normal(len(sound)) * 10 ** (-80 / 20)
    return np.clip(sound + noise, -1, 1).astype(np.float32)


def unspoken(duration_s: float = 20.0, *, seed: int = 0) -> Iterator[tuple[str, str, np.ndarray]]:
    """Give group, name and sound: wide and through the telephone, at -40, -25 and -12 dBFS."""
    sounds: list[tuple[str, str, np.ndarray]] = []
    for name, (frequencies_hz, cadence_s) in CALL_PROGRESS.items():
        sounds.append(("tones", name, tone(frequencies_hz, cadence_s, duration_s)))
    sounds += [("hum", f"hum {mains_hz} Hz", hum(mains_hz, duration_s)) for mains_hz in (50, 60)]
    sounds.append(("comfort noise", "comfort noise", comfort_noise(duration_s)))
    for on_s in (0.05, 0.08, 0.2):
        text = ("0123456789*#ABCD" * 20)[: int(duration_s / (2 * on_s))]
        sounds.append(("digits", f"digits of {1000 * on_s:.0f} ms", digits(text, on_s, on_s)))
    for kind in ("chords", "melody", "strings", "pop"):
        takes = ((take, music(kind, duration_s, 4 * seed + take)) for take in range(4))
        sounds += [("music", f"{kind} {take}", sound) for take, sound in takes]
    for group, name, sound in sounds:
        for dbfs in (-40.0, -25.0, -12.0):
            levelled = at_level(sound, dbfs)
            yield group, f"{name}, wide, {dbfs:.0f}", levelled
            yield group, f"{name}, telephone, {dbfs:.0f}", telephone(levelled)
