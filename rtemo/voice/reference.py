"""References: what a recording tells about a voice, and whether it is fit to be imitated."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.pitch import VOICED, PitchTracker
from rtemo.voice.errors import VoiceError
from rtemo.voice.speaker import SpeakerEmbedder, cosine, without_silence

RATE_HZ = 16_000
HOP_SAMPLES = 160
LEAST_SPEECH_S = 1.2
"""Speech that a voice is fitted to at least."""
LEAST_WORD_S = 0.3
"""Speech that a recording holds at least, whose voice is known already."""

_LEAST_VOICED = 0.08  # of 80 clips of nine corpora one has less, .04; noise has 0
_STEADY_SEMITONES = 0.1
_STEADY_HOPS = 6
_MOST_STEADY = 0.6  # of those clips none has more than .41; a melody of notes has .86
_TWO_SPEAKERS = 0.72  # halves of 16 speakers lay at .84 and above, of 8 pairs of speakers six below .7
_CENTRE_HOPS = 2  # the tracker speaks of what lies 21 ms back


class Melody(NamedTuple):
    """Pitch and level of a recording, one value for each 10 ms.

    Attributes:
        pitch_hz: float32 [hops]; 0 where nothing is voiced.
        level_db: float32 [hops].
    """

    pitch_hz: NDArray[np.float32]
    level_db: NDArray[np.float32]

    @property
    def median_hz(self) -> float:
        """Median of what is voiced; 0 where nothing is."""
        voiced = self.pitch_hz[self.pitch_hz > 0]
        return float(np.median(voiced)) if voiced.size else 0.0

    @property
    def range_semitones(self) -> float:
        """10th to 90th percentile of pitch."""
        voiced = self.pitch_hz[self.pitch_hz > 0]
        if voiced.size < 2:
            return 0.0
        low, high = np.percentile(voiced, [10, 90])
        return float(12.0 * np.log2(high / low))


def melody_of(samples: NDArray[np.float32]) -> Melody:
    """Track pitch and level of a recording, float32 [k] at 16 kHz; octave jumps are smoothed by a median of five."""
    x = np.asarray(samples, np.float32)
    hops = len(x) // HOP_SAMPLES
    tracker = PitchTracker(1, hop_samples=HOP_SAMPLES, rate_hz=RATE_HZ)
    tracker.admit(0)
    pitch_hz = np.zeros(hops, np.float32)
    for hop in range(hops):
        found = tracker.process(x[None, hop * HOP_SAMPLES : (hop + 1) * HOP_SAMPLES])
        if found.voicing[0] >= VOICED:
            pitch_hz[max(0, hop - _CENTRE_HOPS)] = found.hz[0]
    frames = x[: hops * HOP_SAMPLES].reshape(hops, HOP_SAMPLES).astype(np.float64)
    level_db = (
        (10.0 * np.log10((frames**2).mean(axis=1) + 1e-10)).astype(np.float32) if hops else np.zeros(0, np.float32)
    )
    pitch_hz[level_db < (level_db.max() - 40.0 if hops else 0.0)] = 0.0
    return Melody(_without_jumps(pitch_hz), level_db)


def check_reference(samples: NDArray[np.float32], embedder: SpeakerEmbedder, name: str = "the reference") -> None:
    """Refuse what no voice can be taken from.

    Raises:
        VoiceError: It is too short, silent, music or a steady sound, or two voices speak in it.
    """
    check_spoken(samples, name, LEAST_SPEECH_S)
    windows = embedder.embed_windows(samples)
    if len(windows) >= 4:
        likeness = windows @ windows.T
        first, second = np.unravel_index(int(likeness.argmin()), likeness.shape)
        belongs = likeness[first] >= likeness[second]
        if min(belongs.sum(), (~belongs).sum()) >= 2:
            means = [windows[part].mean(axis=0) for part in (belongs, ~belongs)]
            if cosine(means[0], means[1]) < _TWO_SPEAKERS:
                raise VoiceError(f"two voices speak in {name}", "give a recording of one speaker")


def check_spoken(samples: NDArray[np.float32], name: str = "the recording", least_s: float = LEAST_WORD_S) -> None:
    """Refuse what nobody speaks in, whether or not a voice is to be taken from it.

    Raises:
        VoiceError: It is silent, holds less than `least_s` of sound, or is noise, music or a steady sound.
    """
    if not len(samples) or float(np.abs(samples).max()) < 1e-3:
        raise VoiceError(f"{name} is silent", "give a recording of one speaker")
    speech_s = len(without_silence(samples)) / RATE_HZ
    if speech_s < least_s:
        raise VoiceError(
            f"{name} holds {speech_s:.1f} s of sound, at least {least_s:g} s are needed",
            "give a longer recording of one speaker",
        )
    melody = melody_of(samples)
    loud = melody.level_db > melody.level_db.max() - 30.0
    if (melody.pitch_hz[loud] > 0).mean() < _LEAST_VOICED:
        raise VoiceError(f"{name} holds hardly any voiced speech", "give a recording of one speaker without noise")
    if _steady_share(melody.pitch_hz) > _MOST_STEADY:
        raise VoiceError(
            f"{name} is music or another steady sound: its pitch stands still, which no speaker's does",
            "give a recording of one speaker, without music",
        )


def _steady_share(pitch_hz: NDArray[np.float32]) -> float:
    """Share of voiced stretches of 60 ms over which pitch moves less than a tenth of a semitone."""
    now, then = pitch_hz[_STEADY_HOPS:], pitch_hz[:-_STEADY_HOPS]
    both = (now > 0) & (then > 0)
    if both.sum() < 20:
        return 0.0
    steps = 12.0 * np.abs(np.log2(now[both] / then[both]))
    return float((steps < _STEADY_SEMITONES).mean())


def _without_jumps(pitch_hz: NDArray[np.float32]) -> NDArray[np.float32]:
    """Replace single hops that lie an octave off by the median of five, within what is voiced."""
    if pitch_hz.size < 5:
        return pitch_hz
    padded = np.pad(pitch_hz, 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 5)
    median = np.median(windows, axis=1)
    smooth = np.where((pitch_hz > 0) & (median > 0), median, pitch_hz * (median > 0))
    return smooth.astype(np.float32)
