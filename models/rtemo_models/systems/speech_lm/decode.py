"""Decoding: label and rationale of turns, token by token, as a graph with cached state will do it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from rtemo.api import EMOTIONS
from rtemo.cues.slots import from_slots
from rtemo.cues.turn import Turn
from rtemo.cues.writer import Writer
from rtemo_models.systems.speech_lm.examples import (
    BEGIN,
    END,
    LABELS,
    PREFIX,
    Example,
    prefix_ids,
    prefix_values,
)
from rtemo_models.systems.speech_lm.net import SpeechLM

MOST_TOKENS = 70


class Written(NamedTuple):
    """What the decoder says of a turn."""

    label: int
    probabilities: NDArray[np.float64]
    """float64 [8]"""
    words: list[str]
    """The rationale, with slots."""

    def turn(self, turn: Turn) -> Turn:
        """The turn with the decoder's own label."""
        shares = dict(zip(EMOTIONS, self.probabilities.tolist(), strict=True))
        return turn._replace(label=EMOTIONS[self.label], probabilities=shares)

    def text(self, turn: Turn, writer: Writer) -> str:
        """The rationale, its slots filled."""
        return from_slots(self.words, self.turn(turn), writer)


@torch.no_grad()
def decode(
    net: SpeechLM, examples: Sequence[Example], order: str, hears_words: bool = True, with_rationale: bool = True
) -> list[Written]:
    """Write about turns, always the likeliest token.

    Args:
        net: The decoder.
        examples: Turns; their labels are not looked at.
        order: What it has learnt to say first, `label` or `rationale`.
        hears_words: Whether what the words express is told.
        with_rationale: Stop after the label where it comes first.
    """
    vocabulary = net.config.vocabulary
    ids = {word: number for number, word in enumerate(vocabulary)}
    n, width = len(examples), examples[0].heard.shape[1]
    values = torch.from_numpy(np.stack([prefix_values(e, width, hears_words) for e in examples]))
    here, kept = net.fresh(n)
    given, none = torch.ones(n), torch.zeros(n)
    nothing = torch.zeros(n, values.shape[2])
    for place, token in enumerate(prefix_ids(ids)):
        _, here, kept = net.step(torch.full((n,), float(token)), values[:, place], given, here, kept)
    logits, here, kept = net.step(torch.full((n,), float(ids[BEGIN])), nothing, none, here, kept)
    said: list[list[str]] = [[] for _ in examples]
    shares = torch.zeros(n, len(LABELS))
    allowed = _allowed(vocabulary)
    labels = torch.tensor([ids[label] for label in LABELS])
    is_over = torch.zeros(n, dtype=torch.bool)

    has_label = torch.zeros(n, dtype=torch.bool)

    def note_labels(logits: torch.Tensor, which: torch.Tensor) -> None:
        new = which & ~has_label
        shares[new] = logits[new][:, labels].softmax(-1)
        has_label[new] = True

    token = None
    if order == "label":
        note_labels(logits, ~has_label)
        token = labels[shares.argmax(-1)]
    for _ in range(min(MOST_TOKENS, net.config.positions - PREFIX - 3)):
        if token is None:
            token = (logits + allowed).argmax(-1)
        elif not with_rationale:
            break
        logits, here, kept = net.step(token.float(), nothing, none, here, kept)
        chosen = (logits + allowed).argmax(-1)
        if order == "rationale":
            _note(said, token, vocabulary, is_over, ids[END])
            note_labels(logits, token == ids[END])
        is_over |= chosen == ids[END]
        if order == "label":
            _note(said, chosen, vocabulary, is_over, ids[END])
        token = torch.where(is_over, torch.tensor(ids[END]), chosen)
        if bool(is_over.all()):
            break
    if order == "rationale":
        logits, here, kept = net.step(torch.full((n,), float(ids[END])), nothing, none, here, kept)
        note_labels(logits, ~has_label)
    return [
        Written(int(share.argmax()), share.double().numpy(), words) for share, words in zip(shares, said, strict=True)
    ]


def _allowed(vocabulary: Sequence[str]) -> torch.Tensor:
    """0 for what a rationale may be made of, minus infinity for the tokens of prefix and label."""
    fixed = vocabulary.index(LABELS[-1]) + 1
    mask = torch.zeros(len(vocabulary))
    mask[:fixed] = -torch.inf
    mask[vocabulary.index(END)] = 0.0
    return mask


def _note(
    said: list[list[str]], token: torch.Tensor, vocabulary: Sequence[str], is_over: torch.Tensor, end: int
) -> None:
    for words, one, over in zip(said, token.tolist(), is_over.tolist(), strict=True):
        if not over and one != end:
            words.append(vocabulary[one])
