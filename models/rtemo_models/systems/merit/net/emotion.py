"""The causal emotion network: log-mel frames in, emotions, arousal and valence after every step out."""

from dataclasses import dataclass

from torch import Tensor

from rtemo_models.systems.merit.net.causal import CausalNet


@dataclass(frozen=True, slots=True)
class EmotionNetConfig:
    """Sizes of the network."""

    mel_count: int = 64
    hops_per_step: int = 4
    width: int = 192
    expansion: int = 2
    kernel: int = 5
    dilations: tuple[int, ...] = (1, 1, 1, 2, 2, 2)
    time_constants_steps: tuple[float, ...] = (6.0, 18.0, 50.0, 150.0)
    level_decay: float = 0.995
    embedding: int = 192
    heads: int = 4
    attention: int = 64
    hidden: int = 128
    dropout: float = 0.1
    head_dropout: float = 0.4
    teacher_width: int = 288


class EmotionNet(CausalNet):
    """The encoder, which runs at 25 Hz, with pool and heads right on it."""

    def __init__(self, config: EmotionNetConfig = EmotionNetConfig()) -> None:
        super().__init__()
        self.config = config
        self.add_encoder(config)
        self.add_heads(config)

    def forward(self, logmel: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, arousal and valence after every step of a clip."""
        return self.heads(self.statistics(self.encode(logmel), weight))

    def step(
        self, logmel: Tensor, weight: Tensor, state: dict[str, Tensor]
    ) -> tuple[tuple[Tensor, Tensor, Tensor], dict[str, Tensor]]:
        """One step of n streams: logmel float32 [n, hops, mel_count], weight float32 [n, hops]."""
        after: dict[str, Tensor] = {}
        encoded = self.encode_step(logmel, state, after)
        return self.heads(self.statistics_step(encoded, weight, state, after)), after
