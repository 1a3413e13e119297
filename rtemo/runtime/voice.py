"""OnnxVoice: a model that speaks, run by ONNX Runtime whole, or in three parts where its card names the seams.

Models of the StyleTTS 2 family (Li et al. 2023) find durations from signs, then pitch and energy, then the sound. The
card names the tensors at these seams (`front_end`), so that each of them can be seen and changed on the way.
"""

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.api import ModelCard, ModelError, VoicePlan
from rtemo.runtime.graph import GraphError
from rtemo.runtime.graph_cut import cut_graph
from rtemo.runtime.onnx import open_session, providers

_SEAMS = (
    *("durations", "context", "context_frames"),
    *("pitch", "energy", "text", "text_frames"),
)
_LONGEST_FRAMES = 2_400
"""Frames in a phrase: a minute at 25 ms. Nobody says more at once, and memory grows with it."""


class OnnxVoice:
    """A speaking model; see `rtemo.api.VoiceHandle`.

    Args:
        card: What the model is.
        files: File name → contents, proved; the weights first.
        device: `cpu`, or `cuda` where the CUDA build of ONNX Runtime is installed.
        threads: Threads of a CPU; 0 takes one.

    Raises:
        ModelError: The files are no such model.
    """

    def __init__(self, card: ModelCard, files: Mapping[str, bytes], device: str = "cpu", threads: int = 0) -> None:
        self.card = card
        facts = card.front_end
        self.frame_samples = int(facts.get("frame_samples", 0))
        self.most_signs = int(facts.get("most_signs", 0))
        self._edge = int(facts.get("edge_sign", 0))
        weights = next(iter(files.values()))
        if self.frame_samples < 1 or self.most_signs < 1:
            raise self._wrong("states no frame_samples and most_signs in front_end")
        self._numbers = self._read_signs(files.get(str(facts.get("signs_file", "")), b""))
        self.voices: Mapping[str, NDArray[np.float32]] = self._read_voices(
            files.get(str(facts.get("voices_file", "")), b"")
        )
        self._names = {name: str(facts.get(f"tensor_{name}", "")) for name in _SEAMS}
        self.can_plan = all(self._names.values())

        def opened(data: bytes) -> Any:
            return open_session(card, data, providers(device), threads or 1)

        try:
            if self.can_plan:
                at = self._names
                curves = (at["pitch"], at["energy"])
                self._planner = opened(cut_graph(weights, {}, (at["durations"], at["context"], at["text"])))
                self._curves = opened(cut_graph(weights, {at["context_frames"]: 3}, curves))
                sound = {at["text_frames"]: 3, at["pitch"]: 2, at["energy"]: 2}
                self._renderer = opened(cut_graph(weights, sound, ("audio",)))
            else:
                self._whole = opened(weights)
        except GraphError as error:
            raise self._wrong(f"names seams that its graph has not: its weights {error}") from error

    @property
    def signs(self) -> frozenset[str]:
        """Signs that it can say."""
        return frozenset(self._numbers)

    def plan(
        self,
        signs: str,
        style: NDArray[np.float32],
        *,
        speed: float = 1.0,
        durations_frames: Sequence[int] | NDArray[np.int64] | None = None,
    ) -> VoicePlan:
        """Decide durations, pitch and energy; see `rtemo.api.VoiceHandle`."""
        if not self.can_plan:
            raise ModelError(f"{self.card.name!r} does not tell how it plans", "use another voice model")
        kept, feed = self._feed(signs, style, speed)
        at = self._names
        found = self._run(self._planner, feed, (at["durations"], at["context"], at["text"]))
        durations = np.rint(found[0].reshape(-1)).astype(np.int64)
        if durations_frames is not None:
            durations = np.maximum(np.asarray(durations_frames, np.int64).reshape(-1), 1)
            if durations.shape[0] != len(kept) + 2:
                raise ValueError(f"{durations.shape[0]} durations were given for {len(kept)} signs and two ends")
        if int(durations.sum()) > _LONGEST_FRAMES:
            raise ValueError(f"the phrase would take {int(durations.sum())} frames, at most {_LONGEST_FRAMES}")
        context = found[1]
        if self.card.front_end.get("context_signs_first", False):
            context = context.transpose(0, 2, 1)
        spread = np.repeat(context, durations, axis=2)
        curves = self._run(
            self._curves, {at["context_frames"]: spread, "style": feed["style"]}, (at["pitch"], at["energy"])
        )
        return VoicePlan(
            signs=kept,
            durations_frames=durations,
            pitch_hz=curves[0].reshape(-1),
            energy=curves[1].reshape(-1),
            style=np.asarray(style, np.float32).reshape(-1),
            hidden={"text": found[2]},
        )

    def render(self, plan: VoicePlan) -> NDArray[np.float32]:
        """Make the sound of a plan, float32 [frames x frame_samples].

        Raises:
            ValueError: Its curves are not two values for each frame, or not finite.
        """
        frames = int(plan.durations_frames.sum())
        for curve in (plan.pitch_hz, plan.energy):
            if curve.shape != (2 * frames,) or not np.isfinite(curve).all():
                raise ValueError(f"a curve has the shape {curve.shape}, expected {2 * frames} finite values")
        at = self._names
        feed = {
            at["text_frames"]: np.repeat(plan.hidden["text"], plan.durations_frames, axis=2),
            at["pitch"]: plan.pitch_hz[None].astype(np.float32),
            at["energy"]: plan.energy[None].astype(np.float32),
            "style": plan.style[None],
        }
        return self._run(self._renderer, feed, ("audio",))[0].reshape(-1)

    def say(
        self, signs: str, style: NDArray[np.float32], *, speed: float = 1.0
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Plan and render; see `rtemo.api.VoiceHandle`."""
        if self.can_plan:
            plan = self.plan(signs, style, speed=speed)
            return self.render(plan), np.cumsum(plan.durations_frames) * self.frame_samples
        kept, feed = self._feed(signs, style, speed)
        audio = self._run(self._whole, feed, ("audio",))[0].reshape(-1)
        return audio, np.rint(np.linspace(0, len(audio), len(kept) + 3)[1:]).astype(np.int64)

    def _feed(self, signs: str, style: NDArray[np.float32], speed: float) -> tuple[str, dict[str, NDArray[np.generic]]]:
        kept = "".join(sign for sign in signs if sign in self._numbers)
        if not kept.strip():
            raise ValueError(f"there is no sign in {signs[:40]!r} that {self.card.name!r} can say")
        if len(kept) > self.most_signs:
            raise ValueError(f"{len(kept)} signs were given at once, at most {self.most_signs}")
        if not 0.25 <= speed <= 4.0:
            raise ValueError(f"a speed of {speed:g} was given, expected .25 to 4")
        numbers = [self._edge, *(self._numbers[sign] for sign in kept), self._edge]
        return kept, {
            "tokens": np.array([numbers], np.int64),
            "style": np.asarray(style, np.float32).reshape(1, -1),
            "speed": np.array([speed], np.float32),
        }

    def _run(self, session: Any, feed: Mapping[str, Any], outputs: Sequence[str]) -> list[NDArray[np.float32]]:
        wanted = {node.name for node in session.get_inputs()}
        found: list[NDArray[np.float32]] = session.run(
            list(outputs), {name: value for name, value in feed.items() if name in wanted}
        )
        return found

    def _read_signs(self, data: bytes) -> dict[str, int]:
        try:
            found = json.loads(data)
            found = found.get("vocab", found)
            return {str(sign): int(number) for sign, number in found.items() if len(sign) == 1}
        except (ValueError, AttributeError, TypeError) as error:
            raise self._wrong("names no file of signs in front_end.signs_file that can be read") from error

    def _read_voices(self, data: bytes) -> dict[str, NDArray[np.float32]]:
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as found:
                voices = {name: np.asarray(found[name], np.float32) for name in found.files}
        except (ValueError, OSError, EOFError) as error:
            raise self._wrong("names no file of voices in front_end.voices_file that can be read") from error
        return {name: style.reshape(style.shape[0], -1) for name, style in voices.items()}

    def _wrong(self, what: str) -> ModelError:
        return ModelError(
            f"the card of the voice {self.card.name!r} {what}", "correct the card or reinstall the bundle"
        )
