"""Phones of texts and of sounds: IPA by espeak-ng, and a CTC head over frames that finds them in time.

The head is small: it is there to tell where phones are, and which they are where no text is known. Connectionist
temporal classification after Graves et al. (2006); where the text is known the best path through it gives the times.
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtemo_models.kit.loop import descend
from rtemo_models.systems.sapa.data import Heard
from rtemo_models.systems.sapa.settings import Phones

BLANK = 0
VOICES = {"en": "en-us", "pl": "pl", "de": "de", "es": "es", "fr": "fr-fr", "it": "it", "hi": "hi"}
"""Language of a manifest → voice of espeak-ng."""
_SPAN_FRAMES = 4
"""Half of what a phone may last at most, in frames of 20 ms."""


def signs_of(ipa: str) -> list[str]:
    """Phones of the IPA that espeak-ng writes, without stress, length, tones and diacritics.

    >>> signs_of("sˈeɪ ðə wˈɜːd t^ʃˈɛk")
    ['s', 'e', 'ɪ', 'ð', 'ə', 'w', 'ɜ', 'd', 'tʃ', 'ɛ', 'k']
    """
    found: list[str] = []
    is_tied = False
    for sign in unicodedata.normalize("NFD", ipa):
        if sign == "^":
            is_tied = True
        elif sign.isalpha() and unicodedata.category(sign) in ("Ll", "Lo"):
            if is_tied and found:
                found[-1] += sign
            else:
                found.append(sign)
            is_tied = False
    return found


class Inventory(NamedTuple):
    """Phones that are told apart; 0 is the blank."""

    signs: tuple[str, ...]

    def numbers(self, phones: Sequence[str]) -> list[int]:
        """Numbers of those that are known."""
        known = {sign: number for number, sign in enumerate(self.signs)}
        return [known[phone] for phone in phones if phone in known]


def inventory_of(texts: Sequence[Sequence[str]], least: int) -> Inventory:
    """All phones that occur often enough."""
    counts = Counter(phone for text in texts for phone in text)
    return Inventory(("", *sorted(phone for phone, count in counts.items() if count >= least)))


class PhoneHead(nn.Module):
    """Two convolutions and log probabilities of phones for every frame."""

    def __init__(self, values: int, phones: int, hidden: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Dropout(0.1),
            nn.Conv1d(values, hidden, 5, padding=2),
            nn.GELU(),
            nn.Dropout(0.2),
            nn.Conv1d(hidden, hidden, 5, padding=2),
            nn.GELU(),
            nn.Conv1d(hidden, phones, 1),
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Log probabilities [n, t, phones] of frames [n, t, values]."""
        return self.body(frames.transpose(1, 2)).transpose(1, 2).log_softmax(2)


def train_phones(
    heard: Heard, numbers: dict[int, list[int]], scale: tuple[Tensor, Tensor], phones: int, settings: Phones, seed: int
) -> PhoneHead:
    """Train a head on clips whose phones are known.

    Args:
        heard: Frames of all clips.
        numbers: Clip → its phones.
        scale: Mean and deviation of a frame.
        phones: How many there are, with the blank.
        settings: Of the head.
        seed: Of everything that is drawn.
    """
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    net = PhoneHead(heard.frames.shape[1], phones, settings.hidden)
    optimiser = torch.optim.AdamW(net.parameters(), settings.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.rate, total_steps=settings.steps)
    clips = np.array(sorted(numbers))
    for _ in range(settings.steps):
        drawn = random.choice(clips, settings.batch).tolist()
        given = [(torch.from_numpy(heard.of(clip)) - scale[0]) / scale[1] for clip in drawn]
        said = net(nn.utils.rnn.pad_sequence(given, batch_first=True)).transpose(0, 1)
        wanted = [numbers[clip] for clip in drawn]
        loss = nn.functional.ctc_loss(
            said,
            torch.tensor([number for one in wanted for number in one]),
            tuple(map(len, given)),
            tuple(map(len, wanted)),
            blank=BLANK,
            zero_infinity=True,
        )
        descend(loss, optimiser, [net.parameters()], 5.0)
        schedule.step()
    return net.eval()


class Spoken(NamedTuple):
    """A phone in time."""

    number: int
    start: int
    end: int
    """Frames."""


def recognised(log_probabilities: NDArray[np.float32]) -> list[Spoken]:
    """The best phone of every frame, repeats taken together, [t, phones] → phones with their spans."""
    best = log_probabilities.argmax(1)
    peaks = [
        (int(best[at]), at) for at in range(len(best)) if best[at] != BLANK and (at == 0 or best[at - 1] != best[at])
    ]
    return spans_of([number for number, _ in peaks], [at for _, at in peaks], len(best))


def aligned(log_probabilities: NDArray[np.float32], numbers: Sequence[int]) -> list[Spoken]:
    """The best path through phones that are known, [t, phones] → phones with their spans; none if time is too short."""
    t, count = len(log_probabilities), len(numbers)
    if not count:
        return []
    path = np.full(2 * count + 1, BLANK)
    path[1::2] = numbers
    may_skip = np.zeros(len(path), bool)
    may_skip[3::2] = path[3::2] != path[1:-2:2]
    score = np.full(len(path), -np.inf)
    score[:2] = log_probabilities[0, path[:2]]
    back = np.zeros((t, len(path)), np.int64)
    for at in range(1, t):
        stay, step, skip = score, np.append(-np.inf, score[:-1]), np.append([-np.inf] * 2, score[:-2])[: len(path)]
        choices = np.stack([stay, step, np.where(may_skip, skip, -np.inf)])
        back[at] = choices.argmax(0)
        score = choices.max(0) + log_probabilities[at, path]
    state = len(path) - 1 if score[-1] >= score[-2] else len(path) - 2
    if not np.isfinite(score[state]):
        return []
    first = np.zeros(len(path), np.int64)
    for at in range(t - 1, -1, -1):
        first[state] = at
        state -= int(back[at, state])
    return spans_of(list(numbers), first[1::2].tolist(), t)


def spans_of(numbers: Sequence[int], peaks: Sequence[int], frames: int) -> list[Spoken]:
    """A phone reaches half-way to its neighbours, but not far."""
    found = []
    for k, (number, at) in enumerate(zip(numbers, peaks, strict=True)):
        before = (peaks[k - 1] + at + 1) // 2 if k else 0
        after = (at + peaks[k + 1] + 1) // 2 if k + 1 < len(peaks) else frames
        start, end = max(before, at - _SPAN_FRAMES), min(after, at + _SPAN_FRAMES + 1)
        found.append(Spoken(number, min(start, at), max(end, at + 1)))
    return found


def error_rate(said: Sequence[Sequence[int]], truth: Sequence[Sequence[int]]) -> float:
    """Phones inserted, left out and exchanged, by how many there should be (Levenshtein)."""
    wrong = sum(distance(a, b) for a, b in zip(said, truth, strict=True))
    return wrong / max(1, sum(map(len, truth)))


def distance(a: Sequence[int], b: Sequence[int]) -> int:
    """Least number of changes that make one sequence of the other."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]
