"""A small voice converter of our own: the mel bands of one voice and mood as those of another, in the manner of AutoVC.

Words pass through a code so narrow that the voice does not fit through (Qian et al. 2019, "AutoVC: zero-shot voice
style transfer with only autoencoder loss", arXiv:1905.05879). Pitch goes round it, normalised and then set to what is
usual in the target voice and mood (Qian et al. 2020, arXiv:2004.07370). The voice in its mood is a row of a learned
table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rtemo_models.kit.audio.pitch import HIGHEST_HZ, LOWEST_HZ, pitch_of
from rtemo_models.kit.nets.vocoder import BANDS, HOP_SAMPLES, RATE_HZ, Block, Samples, log_mel
from rtemo_models.kit.run_folder import load_net

COARSE = 4
"""Bands that the encoder hears as one: too broad for harmonics, broad enough for vowels."""

PEAK = 0.5
"""Peak of the clips that it is trained on, and to be given."""
COMBS = 128
WIDEST, NARROWEST = 0.35, 0.08
"""Deviations of the natural log of pitch that a place may have."""

Place = tuple[str, str]
"""Who speaks, and in which mood: (speaker, emotion)."""


@dataclass(frozen=True, slots=True)
class ConverterConfig:
    """Size of a converter.

    Attributes:
        places: (speaker, emotion) that the table holds, in its order.
        code: Values of the code.
        hold: Frames of 16 ms that share a code.
        style: Values of a row of the table.
        encoder_width: Channels of the encoder.
        encoder_blocks: Blocks of the encoder.
        width: Channels of the decoder.
        hidden: Channels inside one of its blocks.
        blocks: Blocks of the decoder.
    """

    places: tuple[Place, ...]
    code: int = 16
    hold: int = 4
    style: int = 64
    encoder_width: int = 128
    encoder_blocks: int = 3
    width: int = 192
    hidden: int = 512
    blocks: int = 5


@cache
def comb_table() -> Tensor:
    """What harmonics alone look like in mel bands, float32 [COMBS, bands], pitches evenly spaced in logarithm.

    A decoder would need long to learn where harmonics of a pitch lie; so it is told. The mean over the bands is 0.
    """
    time_s = np.arange(8 * HOP_SAMPLES) / RATE_HZ
    rows = []
    for pitch_hz in np.geomspace(LOWEST_HZ, HIGHEST_HZ, COMBS):
        orders = np.arange(1, int(RATE_HZ / 2 / pitch_hz) + 1)
        wave = np.cos(2 * np.pi * pitch_hz * orders[:, None] * time_s).sum(0).astype(np.float32)
        rows.append(log_mel(torch.from_numpy(wave)[None])[0, 3:6].mean(0))
    table = torch.stack(rows)
    return table - table.mean(1, keepdim=True)


def combs_of(log_pitch: Tensor, is_voiced: Tensor) -> Tensor:
    """Rows of the table for a pitch [batch, frames] in natural log of Hz, 0 where nothing is voiced."""
    low, high = float(np.log(LOWEST_HZ)), float(np.log(HIGHEST_HZ))
    place = ((log_pitch - low) / (high - low) * (COMBS - 1)).clamp(0, COMBS - 1.001)
    first = place.long()
    share = (place - first)[..., None]
    table = comb_table()
    return ((1 - share) * table[first] + share * table[first + 1]) * is_voiced[..., None]


class Encoder(nn.Module):
    """What is said: mel bands [batch, frames, bands] → codes [batch, frames, code], one for every few frames.

    Means and deviations over time are taken out at the entrance and after every block, and with them most of the voice.
    """

    def __init__(self, config: ConverterConfig) -> None:
        super().__init__()
        self.hold = config.hold
        self.embed = nn.Conv1d(BANDS // COARSE, config.encoder_width, 5, padding=2)
        self.blocks = nn.ModuleList(
            Block(config.encoder_width, 2 * config.encoder_width, config.encoder_blocks)
            for _ in range(config.encoder_blocks)
        )
        self.last = nn.Linear(config.encoder_width, config.code)

    def forward(self, mel: Tensor) -> Tensor:
        """Codes, interpolated back to the rate of frames."""
        count = mel.shape[1]
        coarse = mel.reshape(len(mel), count, BANDS // COARSE, COARSE).mean(3)
        x = levelled(self.embed(levelled(coarse).transpose(1, 2)).transpose(1, 2))
        for block in self.blocks:
            x = levelled(block(x))
        short = F.pad(self.last(x).transpose(1, 2), (0, -count % self.hold), mode="replicate")
        code = torch.tanh(F.avg_pool1d(short, self.hold))
        return F.interpolate(code, scale_factor=self.hold, mode="linear")[..., :count].transpose(1, 2)


def levelled(x: Tensor) -> Tensor:
    """Every channel with mean 0 and deviation 1 over time, [batch, frames, channels] (instance normalisation)."""
    centred = x - x.mean(1, keepdim=True)
    return centred / (centred.square().mean(1, keepdim=True) + 1e-3).sqrt()


class Converter(nn.Module):
    """Mel bands, pitch and a place → mel bands of the same words at that place."""

    mean_log: Tensor
    deviation_log: Tensor

    def __init__(self, config: ConverterConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.table = nn.Embedding(len(config.places), config.style)
        nn.init.normal_(self.table.weight, std=0.3)
        self.embed = nn.Conv1d(config.code + BANDS + 2, config.width, 5, padding=2)
        self.styles = nn.ModuleList(nn.Linear(config.style, config.width) for _ in range(config.blocks))
        self.blocks = nn.ModuleList(Block(config.width, config.hidden, config.blocks) for _ in range(config.blocks))
        self.last = nn.Sequential(nn.LayerNorm(config.width), nn.Linear(config.width, BANDS))
        self.after = nn.Sequential(
            nn.Conv1d(BANDS, 128, 5, padding=2),
            nn.Tanh(),
            nn.Conv1d(128, 128, 5, padding=2),
            nn.Tanh(),
            nn.Conv1d(128, BANDS, 5, padding=2),
        )
        self.register_buffer("mean_log", torch.full((len(config.places),), float(np.log(180.0))))
        self.register_buffer("deviation_log", torch.full((len(config.places),), 0.2))

    def forward(self, mel: Tensor, pitch_hz: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        """Mel bands [batch, frames, bands], before and after the last convolutions.

        Args:
            mel: Whose words are taken, [batch, frames, bands].
            pitch_hz: Pitch to speak with, [batch, frames]; 0 where nothing is voiced.
            place: Rows of the table, int64 [batch].
        """
        is_voiced = (pitch_hz > 0).float()
        log_pitch = pitch_hz.clamp_min(LOWEST_HZ).log()
        within = (log_pitch - self.mean_log[place, None]) / self.deviation_log[place, None] * is_voiced
        told = [self.encoder(mel), combs_of(log_pitch, is_voiced), within.clamp(-4, 4)[..., None], is_voiced[..., None]]
        x = self.embed(torch.cat(told, -1).transpose(1, 2)).transpose(1, 2)
        style = self.table(place)
        for block, told_style in zip(self.blocks, self.styles, strict=True):
            x = block(x + told_style(style)[:, None])
        before = 2.0 * self.last(x) - 4.0  # about what log mel bands of speech are
        return before, before + self.after((before + 4.0).transpose(1, 2) / 2.0).transpose(1, 2)

    def place_of(self, target: Place) -> int:
        """Row of a (speaker, emotion).

        Raises:
            ValueError: It was not trained.
        """
        if target not in self.config.places:
            raise ValueError(f"{target[0]} in the mood {target[1]!r} was not trained; places of the converter name all")
        return self.config.places.index(target)


def pitch_frames(samples: Samples) -> NDArray[np.float32]:
    """Pitch in Hz at every frame of `vocoder.mel_of`, float32 [1 + samples // hop]; 0 where there is none.

    Raises:
        RtemoError: pyworld is not installed.
    """
    pitch_hz = pitch_of(samples, 1000 * HOP_SAMPLES / RATE_HZ)[0].astype(np.float32)
    count = 1 + len(samples) // HOP_SAMPLES
    return np.pad(pitch_hz[:count], (0, max(0, count - len(pitch_hz))))


def pitch_at(net: Converter, pitch_hz: NDArray[np.float32], place: int) -> NDArray[np.float32]:
    """A clip's pitch [frames] with the mean and the range of a place, in logarithm; unvoiced frames stay 0."""
    is_voiced = pitch_hz > 0
    if not is_voiced.any():
        return pitch_hz
    log = np.log(pitch_hz[is_voiced])
    within = np.clip((log - np.median(log)) / max(NARROWEST, float(log.std())), -3, 3)
    moved = np.zeros_like(pitch_hz)
    wanted = float(net.mean_log[place]) + float(net.deviation_log[place]) * within
    moved[is_voiced] = np.clip(np.exp(wanted), LOWEST_HZ, HIGHEST_HZ)
    return moved


def convert(
    net: Converter, mel: NDArray[np.float32], pitch_hz: NDArray[np.float32], target: Place
) -> NDArray[np.float32]:
    """Mel bands of the same words in another voice and mood.

    Args:
        net: A trained converter.
        mel: Log mel bands as `vocoder.mel_of` gives them, float32 [frames, bands].
        pitch_hz: As `pitch_frames` gives it, float32 [frames].
        target: One of `net.config.places`.

    Returns:
        Log mel bands, float32 [frames, bands], at the level of what was trained on: clips that peak at half of full
        scale.
    """
    place = net.place_of(target)
    moved = pitch_at(net, pitch_hz, place)
    with torch.no_grad():
        _, made = net(torch.from_numpy(mel)[None], torch.from_numpy(moved)[None], torch.tensor([place]))
    converted: NDArray[np.float32] = made[0].numpy()
    return converted


def usual_pitch(pitch_hz: Sequence[NDArray[np.float32]]) -> tuple[float, float]:
    """Mean and deviation of the natural log of pitch over clips; (log 180 Hz, .2) where nothing is voiced."""
    voiced = np.concatenate([p[p > 0] for p in pitch_hz]) if pitch_hz else np.zeros(0)
    if not len(voiced):
        return float(np.log(180.0)), 0.2
    log = np.log(voiced)
    return float(np.median(log)), float(np.clip(log.std(), NARROWEST, WIDEST))


def load_converter(path: Path) -> Converter:
    """Read a converter as its run wrote it, ready to use."""

    def build(config: dict[str, Any]) -> Converter:
        places = tuple((who, mood) for who, mood in config["places"])
        return Converter(ConverterConfig(**config | {"places": places}))

    return load_net(path, build)
