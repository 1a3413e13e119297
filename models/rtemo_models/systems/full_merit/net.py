"""Sparse MERIT at full size: one speech encoder, shared experts, a router and a head per task.

After Tzeng, Busso and Lee 2025 (arXiv:2509.08470) and their published code: the hidden states of all layers of a
pre-trained encoder (WavLM-Large in the paper) are normalised and concatenated; every 20 ms frame is transformed by the
expert that each task's router chooses; attentive statistics lead to an emotion, a recurrent mask to clean speech.

Two things differ on purpose. The published gate gives its routers no gradient (see `routing`), so here the gate is a
setting. And with `causal` the mask network looks at no future frame.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rtemo_models.kit.nets.routing import ExpertPool, Gate, Router

TASKS = ("emotion", "speech")
FFT_SAMPLES, HOP_SAMPLES, BINS = 400, 160, 201


@dataclass(frozen=True, slots=True)
class FullMeritConfig:
    """Sizes and choices; the defaults are the paper's."""

    experts: int = 3
    expert_hidden: int = 4096
    expert_out: int = 1024
    gate: Gate = "top1_scaled"
    sparse_training: bool = False
    low_rank: int = 0
    """Width that a layer shared by routers and experts first reduces the concatenation to; 0 for none."""
    head_dropout: float = 0.5
    mask_hidden: int = 256
    mask_layers: int = 2
    causal: bool = False


class Heard(NamedTuple):
    """What the network makes of a batch of noisy speech."""

    logits: Tensor
    """float32 [batch, classes]."""
    masked: Tensor
    """float32 [batch, frames, 201]: log1p magnitude after the mask."""
    mask: Tensor
    """float32 [batch, frames, 201] in [0, 1]."""
    index: dict[str, Tensor]
    """Task → int64 [batch, encoder frames], the chosen expert."""
    losses: dict[str, Tensor]
    """`balance_emotion`, `z_emotion`, `balance_speech` and `z_speech`, unscaled."""


class LayerStack(nn.Module):
    """Hidden states of all layers, each normalised on its own, side by side."""

    def __init__(self, layers: int, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))

    def forward(self, states: tuple[Tensor, ...]) -> Tensor:
        """Concatenate float32 [batch, frames, width] of each layer to [batch, frames, layers · width]."""
        return torch.cat([norm(state) for norm, state in zip(self.norms, states, strict=True)], -1)


class EmotionHead(nn.Module):
    """Attentive statistics pooling (Okabe et al. 2018, arXiv:1803.10963) and two layers."""

    def __init__(self, width: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, width)
        self.score = nn.Parameter(torch.randn(width))
        self.out = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
            nn.LayerNorm(width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, classes),
        )

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """Logits of clips.

        Args:
            x: float32 [batch, frames, width].
            valid: bool [batch, frames], at least one true per clip.
        """
        scores = (torch.tanh(self.hidden(x)) @ self.score.to(x.dtype)).float().masked_fill(~valid, -torch.inf)
        share = torch.softmax(scores, 1)[..., None]
        x = x.float()
        mean = (share * x).sum(1)
        deviation = (share * (x - mean[:, None]) ** 2).sum(1).clamp_min(1e-5).sqrt()
        return self.out(torch.cat([mean, deviation], -1)).float()


class MaskHead(nn.Module):
    """A recurrent mask on the log1p magnitude: one linear layer, LSTM, one linear layer, sigmoid.

    The mask multiplies log1p|S|, so what comes out has magnitude (1 + |S|)^mask - 1, a gain that compresses; the phase
    stays that of the noisy speech. Not causal, the two directions of the LSTM are summed.
    """

    def __init__(self, width: int, hidden: int, layers: int, causal: bool) -> None:
        super().__init__()
        self.causal = causal
        self.enter = nn.Linear(BINS + width, hidden)
        self.recur = nn.LSTM(hidden, hidden, layers, batch_first=True, bidirectional=not causal)
        self.leave = nn.Linear(hidden, BINS)

    def forward(self, magnitude: Tensor, x: Tensor, frames: Tensor) -> Tensor:
        """The mask, float32 [batch, frames, 201].

        Args:
            magnitude: float32 [batch, frames, 201], log1p.
            x: float32 [batch, frames, width], what the expert made of each frame.
            frames: int64 [batch], how many frames of each clip count; on the CPU.
        """
        count = magnitude.shape[1]
        y = self.enter(torch.cat([magnitude, x], -1))
        packed = nn.utils.rnn.pack_padded_sequence(y, frames, batch_first=True, enforce_sorted=False)
        y, _ = nn.utils.rnn.pad_packed_sequence(self.recur(packed)[0], batch_first=True, total_length=count)
        if not self.causal:
            y = y[..., : y.shape[-1] // 2] + y[..., y.shape[-1] // 2 :]
        return torch.sigmoid(self.leave(y))


class FullMerit(nn.Module):
    """The whole network around an encoder of the `transformers` library that hears raw waves.

    Args:
        encoder: WavLM, wav2vec 2.0, HuBERT or the like; its sizes are read from `encoder.config`.
        classes: How many emotions are told apart.
        config: Sizes and choices.
        train_encoder: Learn the transformer too; its convolutional front end stays as it is in any case.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, encoder: nn.Module, classes: int, config: FullMeritConfig = FullMeritConfig(), train_encoder: bool = True
    ) -> None:
        super().__init__()
        sizes: Any = encoder.config
        self.config = config
        self.encoder = encoder
        self.stack = LayerStack(sizes.num_hidden_layers + 1, sizes.hidden_size)
        width = (sizes.num_hidden_layers + 1) * sizes.hidden_size
        self.reduce: nn.Module = nn.Linear(width, config.low_rank) if config.low_rank else nn.Identity()
        width = config.low_rank or width
        self.routers = nn.ModuleDict({task: Router(width, config.experts, config.gate) for task in TASKS})
        self.pool = ExpertPool(width, config.expert_hidden, config.expert_out, config.experts, config.sparse_training)
        self.emotion = EmotionHead(config.expert_out, classes, config.head_dropout)
        self.speech = MaskHead(config.expert_out, config.mask_hidden, config.mask_layers, config.causal)
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("deviation", torch.ones(()))
        # Dropped layers and masked frames would leave parameters without a gradient, which parallel training forbids.
        sizes.layerdrop, sizes.apply_spec_augment = 0.0, False
        self.learn_encoder(train_encoder)

    def learn_encoder(self, learns: bool) -> None:
        """Let the transformer learn, or hold it still; its front end, and what only pre-training uses, never learn."""
        self.train_encoder = learns
        for parameter in self.encoder.parameters():
            parameter.requires_grad_(False)
        for parameter in self._transformer():
            parameter.requires_grad_(learns)
        self.train(self.training)

    def _transformer(self) -> list[nn.Parameter]:
        fixed = ("feature_extractor.", "masked_spec_embed")
        return [p for name, p in self.encoder.named_parameters() if not name.startswith(fixed)]

    def train(self, mode: bool = True) -> "FullMerit":
        """Switch to training; a frozen encoder stays as it is, without dropout."""
        super().train(mode)
        if not self.train_encoder:
            self.encoder.eval()
        return self

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Parameters by part, for optimisers with a rate each; the encoder's too while it is held still."""
        parts: Mapping[str, list[nn.Module]] = {
            "experts": [self.stack, self.reduce, self.pool],
            "routers": [self.routers],
            "emotion": [self.emotion],
            "speech": [self.speech],
        }
        found = {
            name: [p for m in modules for p in m.parameters() if p.requires_grad] for name, modules in parts.items()
        }
        return {"encoder": self._transformer()} | found

    def shared(self) -> list[nn.Parameter]:
        """Parameters that both tasks learn at present."""
        groups = self.groups()
        return [p for p in groups["encoder"] + groups["experts"] if p.requires_grad]

    def features(self, samples: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Encoder frames, float32 [batch, frames, width], and which of them count, bool [batch, frames]."""
        inside = torch.arange(samples.shape[1], device=samples.device) < lengths[:, None]
        with torch.set_grad_enabled(self.train_encoder and torch.is_grad_enabled()):
            found = self.encoder(samples, attention_mask=inside.long(), output_hidden_states=True)
        # Versions of the library differ in whether the last of the hidden states is after the final norm; this one is.
        states = (*found.hidden_states[:-1], found.last_hidden_state)
        count = self.encoder._get_feat_extract_output_lengths(lengths)  # type: ignore[operator]
        valid = torch.arange(states[0].shape[1], device=samples.device) < count[:, None]
        return self.reduce(self.stack(states)), valid

    def forward(self, samples: Tensor, lengths: Tensor) -> Heard:
        """Hear noisy speech.

        Args:
            samples: float32 [batch, samples] at 16 kHz, 0 beyond a clip's end.
            lengths: int64 [batch], samples of each clip, 400 at least.
        """
        normal = self.normalised(samples, lengths)
        x, valid = self.features(normal, lengths)
        made, index, losses = {}, {}, {}
        for task in TASKS:
            weights, index[task], found = self.routers[task](x, valid)
            made[task] = self.pool(x, weights)
            losses |= {f"{name}_{task}": loss for name, loss in found.items()}
        magnitude = log_magnitude(self.spectrum(normal))
        # Recurrence in half precision drifts over a thousand frames, and the network is small.
        with torch.autocast(samples.device.type, enabled=False):
            aligned = at_frame_rate(made["speech"].float(), valid, magnitude.shape[1])
            mask = self.speech(magnitude, aligned, spectrum_frames(lengths).cpu())
        return Heard(self.emotion(made["emotion"], valid), mask * magnitude, mask, index, losses)

    def normalised(self, samples: Tensor, lengths: Tensor) -> Tensor:
        """Samples by the mean and deviation of the noisy training set; padding stays 0."""
        inside = torch.arange(samples.shape[1], device=samples.device) < lengths[:, None]
        return torch.where(inside, (samples - self.mean) / self.deviation, 0.0)

    @staticmethod
    def spectrum(normal: Tensor) -> Tensor:
        """Short-time spectrum, complex64 [batch, frames, 201]: 25 ms Hamming windows every 10 ms, centred."""
        window = torch.hamming_window(FFT_SAMPLES, device=normal.device)
        with torch.autocast(normal.device.type, enabled=False):
            found = torch.stft(normal.float(), FFT_SAMPLES, HOP_SAMPLES, window=window, return_complex=True)
        return found.transpose(1, 2)

    def clean_target(self, samples: Tensor, lengths: Tensor) -> Tensor:
        """What `masked` is to become, from the clean speech in the noisy set's normalisation."""
        return log_magnitude(self.spectrum(self.normalised(samples, lengths)))

    @torch.no_grad()
    def enhance(self, samples: Tensor, lengths: Tensor) -> Tensor:
        """Enhanced speech, float32 [batch, samples]."""
        spectrum = self.spectrum(self.normalised(samples, lengths))
        magnitude = torch.expm1(self(samples, lengths).masked)
        window = torch.hamming_window(FFT_SAMPLES, device=samples.device)
        shaped = torch.polar(magnitude, spectrum.angle()).transpose(1, 2)
        normal = torch.istft(shaped, FFT_SAMPLES, HOP_SAMPLES, window=window, length=samples.shape[1])
        return normal * self.deviation + self.mean


def log_magnitude(spectrum: Tensor) -> Tensor:
    """log1p of the magnitude, with the published floor of 1e-6."""
    return torch.log1p(spectrum.abs() + 1e-6)


def spectrum_frames(lengths: Tensor) -> Tensor:
    """Frames of the centred short-time spectrum of clips of `lengths` samples."""
    return 1 + lengths // HOP_SAMPLES


def at_frame_rate(x: Tensor, valid: Tensor, frames: int) -> Tensor:
    """Encoder frames every 20 ms as frames every 10 ms: each twice, and each clip's last one to the end.

    Args:
        x: float32 [batch, encoder frames, width].
        valid: bool [batch, encoder frames].
        frames: How many frames to give.
    """
    at = torch.arange(frames, device=x.device) // 2
    last = valid.sum(1, keepdim=True).clamp_min(1) - 1
    return x.gather(1, torch.minimum(at[None], last)[..., None].expand(-1, -1, x.shape[-1]))
