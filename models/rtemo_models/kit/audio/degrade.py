"""What lines, rooms and devices do to speech: each effect alone, and `Degrade`, which draws a chain of them.

Everything takes and gives float32 [samples] at 16 kHz of the same length, keeps the time of what was said, and is the
same again for the same random generator. Measured and statistical rooms are in `rooms`, computed ones in `shoebox`,
codecs in `codecs`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rtemo_models.kit.audio.cache import SAMPLE_RATE_HZ
from rtemo_models.kit.audio.codecs import CODECS, codec_round_trip, doubled, fitted, halved
from rtemo_models.kit.audio.rooms import clip_peaks, reverberate, synthetic_room
from rtemo_models.kit.audio.shoebox import random_shoebox

Samples = NDArray[np.float32]
PACKET_SAMPLES = 320
"""20 ms, what most calls put into one packet."""


def lost_packets(count: int, share: float, burst: float, random: np.random.Generator) -> NDArray[np.bool_]:
    """Which packets are lost: a two-state Markov chain (Gilbert 1960), since losses come in bursts.

    Args:
        count: How many packets are sent.
        share: Share that is lost on average, in [0, 1).
        burst: Mean length of a run of lost packets, at least 1.
        random: Where the losses are drawn from.
    """
    recover = 1 / burst
    fail = recover * share / (1 - share)
    draws = random.random(count)
    lost = np.zeros(count, bool)
    state = draws[0] < share if count else False
    for k in range(count):
        if k:
            state = draws[k] >= recover if state else draws[k] < fail
        lost[k] = state
    return lost


def pitch_period(history: Samples) -> int:
    """Period in samples, 5 to 15 ms, at which the end of `history` repeats best (normalised correlation over 20 ms)."""
    low, high, window = SAMPLE_RATE_HZ // 200, SAMPLE_RATE_HZ * 15 // 1000, 320
    recent = history[-window:].astype(np.float64)
    past = np.lib.stride_tricks.sliding_window_view(history[-(window + high) : -low].astype(np.float64), window)
    scores = past @ recent / (np.linalg.norm(past, axis=1) + 1e-9)
    return high - int(np.argmax(scores))


def lose_packets(samples: Samples, lost: NDArray[np.bool_], conceal: bool = True) -> Samples:
    """Drop 20 ms packets and conceal the gaps as a receiver does.

    Concealment repeats the last pitch periods, fades them by a fifth every 10 ms from the second on, and cross-fades
    back over 4 ms: after ITU-T G.711 Appendix I, without its delay. Without concealment a gap is silent.

    Args:
        samples: float32 [samples].
        lost: bool [packets], which packets do not arrive; `packets` covers all samples.
        conceal: Repeat what was heard instead of silence.
    """
    heard = samples.copy()
    fade = np.clip(1 - 0.2 * (np.arange(6 * 160) / 160 - 1), 0, 1).astype(np.float32)
    fade[:160] = 1
    over = 64
    rise = np.arange(1, over + 1, dtype=np.float32) / over
    edges = np.flatnonzero(np.diff(np.concatenate([[False], lost, [False]]).astype(np.int8)))
    for first, last in edges.reshape(-1, 2):
        begin, end = first * PACKET_SAMPLES, min(last * PACKET_SAMPLES, len(samples))
        heard[begin:end] = 0
        if not conceal or begin < 768:
            continue
        period = pitch_period(heard[begin - 768 : begin])
        through = min(end + over, len(samples))
        cycle = heard[begin - period : begin]
        made = (
            np.resize(cycle, through - begin)
            * np.pad(fade, (0, max(0, through - begin - len(fade))))[: through - begin]
        )
        heard[begin:end] = made[: end - begin]
        back = rise[: through - end]
        heard[end:through] = (1 - back) * made[end - begin :] + back * samples[end:through]
    return heard


def limit_band(samples: Samples, low_hz: float, high_hz: float, order: int = 4) -> Samples:
    """Keep a band only; forwards and backwards, so that nothing is delayed."""
    from scipy.signal import butter, sosfiltfilt

    band = butter(
        order // 2, [low_hz, min(high_hz, 0.49 * SAMPLE_RATE_HZ)], "bandpass", fs=SAMPLE_RATE_HZ, output="sos"
    )
    return sosfiltfilt(band, samples, padlen=min(3 * 2 * order, len(samples) - 1)).astype(np.float32)


def narrow_band(samples: Samples) -> Samples:
    """Resample to 8 kHz and back: nothing above 4 kHz is left."""
    return fitted(doubled(halved(samples)), len(samples))


def overdrive(samples: Samples, drive_db: float) -> Samples:
    """Saturate softly, as a loud voice does in a small microphone: tanh after `drive_db` over the clip's peak."""
    peak = float(np.max(np.abs(samples), initial=0))
    if peak == 0:
        return samples.copy()
    drive = 10 ** (drive_db / 20)
    return (np.tanh(samples / peak * drive) * (peak / np.tanh(drive))).astype(np.float32)


def pump_gain(
    samples: Samples, target_dbfs: float, ratio: float, attack_s: float, release_s: float, most_db: float = 30.0
) -> Samples:
    """An automatic gain that pumps: it pulls the level to a target, fast down and slowly up, so that pauses swell.

    A feed-forward compressor (Giannoulis, Massberg and Reiss 2012) on the level of 5 ms blocks, its gain interpolated
    between blocks.

    Args:
        samples: float32 [samples].
        target_dbfs: Level it pulls to.
        ratio: Decibels of input per decibel of output, at least 1.
        attack_s: Time constant when the level rises.
        release_s: Time constant when it falls.
        most_db: The most it amplifies.
    """
    block = 80
    padded = np.pad(samples, (0, -len(samples) % block)).reshape(-1, block)
    level_db = 10 * np.log10(np.mean(padded.astype(np.float64) ** 2, axis=1) + 1e-10)
    keep = np.exp(-block / SAMPLE_RATE_HZ / np.array([attack_s, release_s]))
    smooth_db = np.empty_like(level_db)
    now_db = level_db[0] if len(level_db) else 0.0
    for k, new_db in enumerate(level_db):
        share = keep[0] if new_db > now_db else keep[1]
        now_db = share * now_db + (1 - share) * new_db
        smooth_db[k] = now_db
    gain_db = np.minimum((target_dbfs - smooth_db) * (1 - 1 / ratio), most_db)
    places = np.arange(len(level_db)) * block + block / 2
    gain = 10 ** (np.interp(np.arange(len(samples)), places, gain_db) / 20)
    return np.clip(samples * gain, -1, 1).astype(np.float32)


def offset(samples: Samples, level: float, drift: float = 0.0) -> Samples:
    """Add a direct current of `level` that drifts by `drift` over the clip, as a cheap converter does."""
    return (samples + np.linspace(level, level + drift, len(samples))).astype(np.float32)


def levelled(samples: Samples, level_dbfs: float) -> Samples:
    """Scale to a level (root mean square), clipped to [-1, 1]; silence stays silence."""
    level = float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))) if len(samples) else 0.0
    return np.clip(samples * (10 ** (level_dbfs / 20) / level), -1, 1).astype(np.float32) if level > 1e-9 else samples


class Degrade:
    """Draws a chain of effects in the order in which sound meets them: room, device, line.

    Args:
        shares: Effect → share of clips that meet it, of `room`, `overdrive`, `clip`, `offset`, `agc`, `band`,
            `narrow`, `codec` and `loss`; effects not named do not happen.
        responses: Measured impulse responses; rooms are drawn among these, statistical and computed ones evenly.

    Raises:
        ValueError: If a name is unknown.
    """

    ORDER = ("room", "overdrive", "clip", "offset", "agc", "band", "narrow", "codec", "loss")

    def __init__(self, shares: Mapping[str, float], responses: Sequence[Samples] = ()) -> None:
        unknown = sorted(set(shares) - set(self.ORDER))
        if unknown:
            raise ValueError(f"no effect is called {', '.join(unknown)}; expected {', '.join(self.ORDER)}")
        self.shares, self.responses = dict(shares), responses

    def __call__(self, samples: Samples, random: np.random.Generator) -> Samples:
        """Degrade one clip."""
        if len(samples) < 2:
            return samples.copy()
        for name in self.ORDER:
            # One draw per effect and a generator of its own: dropping an effect leaves the others as they were.
            share, seed = random.random(), int(random.integers(1 << 62))
            if share < self.shares.get(name, 0.0):
                samples = getattr(self, f"_{name}")(samples, np.random.default_rng(seed))
        return samples

    def _room(self, samples: Samples, random: np.random.Generator) -> Samples:
        kind = random.integers(3 if len(self.responses) else 2)
        if kind == 0:
            return reverberate(samples, synthetic_room(random))
        if kind == 1:
            return reverberate(samples, random_shoebox(random))
        return reverberate(samples, self.responses[random.integers(len(self.responses))])

    def _overdrive(self, samples: Samples, random: np.random.Generator) -> Samples:
        return overdrive(samples, random.uniform(-3, 15))

    def _clip(self, samples: Samples, random: np.random.Generator) -> Samples:
        return clip_peaks(samples, random.uniform(0.05, 0.6))

    def _offset(self, samples: Samples, random: np.random.Generator) -> Samples:
        return offset(samples, random.uniform(-0.05, 0.05), random.uniform(-0.02, 0.02))

    def _agc(self, samples: Samples, random: np.random.Generator) -> Samples:
        attack_s, release_s = random.uniform(0.002, 0.03), random.uniform(0.1, 1.0)
        return pump_gain(samples, random.uniform(-30, -18), random.uniform(2, 10), attack_s, release_s)

    def _band(self, samples: Samples, random: np.random.Generator) -> Samples:
        return limit_band(samples, random.uniform(40, 400), random.uniform(2500, 7500), 2 * int(random.integers(1, 4)))

    def _narrow(self, samples: Samples, random: np.random.Generator) -> Samples:
        return narrow_band(samples)

    def _codec(self, samples: Samples, random: np.random.Generator) -> Samples:
        name = str(random.choice(list(CODECS)))
        levels = CODECS[name].levels
        level = random.uniform(*levels) if levels else None
        return codec_round_trip(levelled(samples, random.uniform(-34, -18)), name, level)

    def _loss(self, samples: Samples, random: np.random.Generator) -> Samples:
        packets = -(-len(samples) // PACKET_SAMPLES)
        lost = lost_packets(packets, random.uniform(0.01, 0.2), random.uniform(1, 4), random)
        return lose_packets(samples, lost, random.random() < 0.8)
