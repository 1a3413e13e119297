"""Phone tokens of all clips: `python -m rtemo_models.systems.sapa.tokens`.

A head is trained on the clips whose words are known, those of held-out speakers and sentences left out, and its phone
error rate is noted for both. Then every clip is cut into phones, by its words where they are known, else by what the
head hears; a token is the mean of the frames of one.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rtemo.voice.errors import VoiceError
from rtemo.voice.espeak import find_espeak
from rtemo_models.kit.command import config_option, data_option, set_option, task, work_option
from rtemo_models.kit.corpora.clip import Clip
from rtemo_models.kit.recipe import read_recipe
from rtemo_models.systems.sapa.data import Heard, chosen, language_of, read_heard
from rtemo_models.systems.sapa.phones import (
    VOICES,
    PhoneHead,
    aligned,
    error_rate,
    inventory_of,
    recognised,
    signs_of,
    train_phones,
)
from rtemo_models.systems.sapa.settings import RECIPE, Settings

TOKENS = "sapa/tokens.npz"
_SENTENCES = 8
"""One sentence in so many is kept from the head."""


def is_kept_sentence(text: str) -> bool:
    """Whether the head is not trained on a sentence, so that it can be measured on it."""
    return hashlib.sha256(text.encode()).digest()[0] % _SENTENCES == 0


def phones_of(clips: list[Clip], languages: NDArray[np.str_]) -> list[list[str]]:
    """Phones of every clip by its words; none where they are not known or espeak-ng lacks the language."""
    espeak, known = find_espeak(), {}
    for clip, language in zip(clips, languages.tolist(), strict=True):
        if clip.text and language in VOICES and (language, clip.text) not in known:
            try:
                known[language, clip.text] = signs_of(espeak.phonemes(clip.text, VOICES[language]))
            except VoiceError:
                known[language, clip.text] = []
    return [known.get((language, clip.text), []) for clip, language in zip(clips, languages.tolist(), strict=True)]


def log_probabilities(
    net: PhoneHead, heard: Heard, clip: int, scale: tuple[torch.Tensor, torch.Tensor]
) -> NDArray[np.float32]:
    """What the head says of a clip, [t, phones]."""
    with torch.no_grad():
        return net(((torch.from_numpy(heard.of(clip)) - scale[0]) / scale[1])[None])[0].numpy()


@task(__doc__, data_option, work_option, config_option(RECIPE), set_option)
def main(data: Path, work: Path, config: tuple[Path, ...], changes: tuple[str, ...]) -> None:
    """Train the head, measure it, cut all clips."""
    torch.set_num_threads(1)
    settings = read_recipe(config, Settings, changes)
    clips = chosen(data, settings)
    heard, paths = read_heard(work)
    if paths != [clip.path for clip in clips]:
        raise ValueError("the clips have changed since the step `features`; run it again")
    languages = language_of(clips, settings)
    phones = phones_of(clips, languages)
    inventory = inventory_of(phones, settings.phones.least)
    numbers = {row: inventory.numbers(one) for row, one in enumerate(phones)}
    numbers = {
        row: one for row, one in numbers.items() if one and len(one) < heard.offsets[row + 1] - heard.offsets[row]
    }
    if not numbers:
        raise ValueError("no clip has words in a language that espeak-ng speaks: no phone can be learnt")
    frames = torch.from_numpy(heard.frames.astype(np.float32))
    scale = frames.mean(0), frames.std(0).clamp_min(1e-4)
    taught = {r: n for r, n in numbers.items() if clips[r].split == "train" and not is_kept_sentence(clips[r].text)}
    net = train_phones(heard, taught or numbers, scale, len(inventory.signs), settings.phones, seed=0)
    said = {row: log_probabilities(net, heard, row, scale) for row in range(len(clips))}
    rates = {}
    for language in sorted(set(languages.tolist())):
        for name, rows in (
            (
                "speakers unseen",
                [r for r in numbers if clips[r].split != "train" and not is_kept_sentence(clips[r].text)],
            ),
            ("sentences unseen", [r for r in numbers if is_kept_sentence(clips[r].text)]),
        ):
            of = [row for row in rows if languages[row] == language]
            if of:
                heard_phones = [[phone.number for phone in recognised(said[row])] for row in of]
                rates[f"{language}, {name}"] = error_rate(heard_phones, [numbers[row] for row in of])
    kinds, vectors, counts = [], [], []
    for row in range(len(clips)):
        cut = aligned(said[row], numbers[row]) if row in numbers else []
        cut = cut or recognised(said[row])
        part = heard.of(row)
        kinds += [phone.number for phone in cut]
        vectors += [part[phone.start : phone.end].mean(0) for phone in cut]
        counts.append(len(cut))
    place = work / TOKENS
    written = place.with_suffix(".part.npz")
    np.savez(
        written,
        kinds=np.array(kinds, np.int64),
        vectors=np.array(vectors, np.float32).reshape(-1, heard.frames.shape[1]),
        offsets=np.cumsum([0, *counts]),
        signs=np.array(inventory.signs),
        rates=np.array(json.dumps(rates)),
        by_words=np.array([row in numbers for row in range(len(clips))]),
    )
    written.replace(place)


if __name__ == "__main__":
    main()
