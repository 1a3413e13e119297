"""GemPlugin: tells how likely each voice is synthetic."""

from typing import ClassVar

import numpy as np

from rtemo.api import Block, Emit, HopFlag, ModelError, PluginContext, PluginSpec, RowParts, Spoof, kind_of
from rtemo.api.units import seconds_to_hops
from rtemo_plugins.gem.consequences import Consequences
from rtemo_plugins.gem.ensemble import Ensemble
from rtemo_plugins.gem.front_end import FrontEnd, TraceFormat
from rtemo_plugins.gem.options import GemOptions
from rtemo_plugins.gem.others import HOLD_S, Others
from rtemo_plugins.gem.step import STEP_HOPS
from rtemo_plugins.gem.verdicts import MARKS, Notice, Verdicts

_LAST = np.uint8(HopFlag.LAST)


class GemPlugin:
    """The factory; see the README beside this file."""

    options_type: ClassVar[type[GemOptions]] = GemOptions

    def __init__(self, options: GemOptions) -> None:
        self._options = options

    @property
    def spec(self) -> PluginSpec:
        """Facts about the plugin as configured."""
        return PluginSpec(
            name="gem",
            summary="Risk that the voice is synthetic, from experts that the emotion chooses.",
            version="1",
            cadence_hops=STEP_HOPS,
            edits_audio=self._options.policy == "mute",
            reads_audio=False,
            hears_input=True,
            provides=MARKS,
            emits=(Spoof,),
            gives_way=() if self._options.policy == "mute" else ("spoof",),  # who mutes is not taken out
            requires=("vad.speech", "vad.voice", "emotion.posterior"),
            hears=(kind_of(Spoof),),
        )

    def open(self, context: PluginContext, capacity: int) -> "GemProcessor":
        """Load the bundle and make a processor.

        Raises:
            ModelError: The bundle cannot be loaded, or does not fit the plugin or the engine.
        """
        options = self._options
        model = context.model(options.bundle)
        format = TraceFormat.of(model.card)
        if (format.rate_hz, format.hop_samples) != (context.format.sample_rate_hz, context.format.hop_samples):
            raise ModelError(
                f"bundle {model.card.name!r} takes hops of {format.hop_samples} samples at {format.rate_hz} Hz, the "
                f"engine gives {context.format.hop_samples} at {context.format.sample_rate_hz} Hz",
                "choose another `bundle` for the gem plugin",
            )
        front_end = FrontEnd(format, capacity)
        hold_hops = seconds_to_hops(HOLD_S, format.rate_hz, format.hop_samples)
        return GemProcessor(
            front_end,
            Ensemble(model, format.traces, front_end.reach_hops, capacity),
            Verdicts(model.card, options, context.format.hop_s, capacity),
            Consequences(options.policy, context.format.hop_samples, capacity),
            Others(options.verdicts_of, hold_hops, capacity),
        )


class GemProcessor(RowParts):
    """Runs one hop of every stream through the parts, in the order that keeps the stagger from showing."""

    def __init__(
        self, front_end: FrontEnd, ensemble: Ensemble, verdicts: Verdicts, consequences: Consequences, others: Others
    ) -> None:
        self._front_end = front_end
        self._ensemble = ensemble
        self._verdicts = verdicts
        self._consequences = consequences
        self._others = others
        super().__init__(front_end, ensemble, verdicts, consequences, others)

    def process(self, block: Block, emit: Emit) -> None:
        """Hear one hop, write the marks, follow the policy, compute the steps that are due and tell what they find."""
        n, verdicts, others = block.n, self._verdicts, self._others
        complete = self._ensemble.hear(self._front_end.process(block.heard), block, others.left_hops)
        if len(complete):  # what the steps before found counts; every one of them is computed by now
            verdicts.publish(complete[~others.speak_of(complete)])
        for row, spoof in others.hear(block.events):
            verdicts.believe(row, spoof)
        verdicts.show(block)
        self._consequences.follow(verdicts.verdict[:n], verdicts.is_alarmed[:n], block)
        rows, quiet = self._ensemble.due(block.flags)
        if len(quiet):
            self._ensemble.carry(quiet, n)
        if len(rows):
            step = self._ensemble.step(rows)
            self._tell(verdicts.advance(step, self._ensemble.run(step, n)), emit)
        for row in np.flatnonzero(block.flags & _LAST).tolist():
            self._tell(verdicts.end_stream(row), emit)

    def _tell(self, notices: list[Notice], emit: Emit) -> None:
        for notice in notices:
            if self._others.left_hops[notice.row]:
                continue
            emit(notice.row, self._verdicts.describe(notice), notice.start_sample, notice.end_sample)
