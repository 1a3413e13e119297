"""MeritPlugin: enhances speech and estimates the emotion in it, each with the help of the other."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rtemo.api import Block, Emit, Emotion, HopFlag, ModelError, PluginContext, PluginSpec, RowParts
from rtemo.dsp.gains import least_factor
from rtemo_plugins.merit.enhancer import Enhancer
from rtemo_plugins.merit.findings import MARKS as FINDINGS
from rtemo_plugins.merit.findings import Findings
from rtemo_plugins.merit.front_end import FrontEnd, SpectrumFormat
from rtemo_plugins.merit.listener import STEP_HOPS, Listener
from rtemo_plugins.merit.on_demand import HELPED, OnDemand
from rtemo_plugins.merit.options import MeritOptions
from rtemo_plugins.merit.recall import Recall
from rtemo_plugins.merit.step import Step
from rtemo_plugins.merit.turns import Estimate, Turns
from rtemo_plugins.merit.words import MARKS as WORDS
from rtemo_plugins.merit.words import Words

_LATENCY_SAMPLES = 320
_LAST = np.uint8(HopFlag.LAST)
_LISTENS = "listener.listens"
"""Mark of a plugin that may be there: 1 in turns that it speaks of."""
_UNKNOWN = 255


class MeritPlugin:
    """The factory; see the README beside this file."""

    options_type: ClassVar[type[MeritOptions]] = MeritOptions

    def __init__(self, options: MeritOptions) -> None:
        self._options = options

    @property
    def spec(self) -> PluginSpec:
        """Facts about the plugin as configured."""
        enhance = self._options.enhance
        return PluginSpec(
            name="merit",
            summary="Enhanced speech; eight emotions, arousal and valence of the current turn.",
            version="1",
            cadence_hops=1 if enhance else STEP_HOPS,
            latency_samples=_LATENCY_SAMPLES if enhance else 0,
            edits_audio=enhance,
            enhances=True,
            emits=(Emotion,),
            gives_way=("enhancement", "rate") if enhance else ("rate",),
            provides=FINDINGS + WORDS,
            requires=("vad.speech", "vad.voice"),
        )

    def open(self, context: PluginContext, capacity: int) -> "MeritProcessor":
        """Load the bundles and make a processor; where nobody will hear enhanced audio its bundle is not touched.

        Raises:
            ModelError: A bundle cannot be loaded, or does not fit the plugin, the engine or the other bundle.
        """
        options = self._options
        listen = context.model(options.listen_bundle)
        format = SpectrumFormat.of(listen.card)
        if (format.rate_hz, format.hop_samples) != (context.format.sample_rate_hz, context.format.hop_samples):
            raise ModelError(
                f"bundle {listen.card.name!r} takes hops of {format.hop_samples} samples at {format.rate_hz} Hz, the "
                f"engine gives {context.format.hop_samples} at {context.format.sample_rate_hz} Hz",
                "choose another `listen_bundle` for the merit plugin",
            )
        is_enhancing = options.enhance and context.audio_demand != "never"
        listener = Listener(listen, format.mel_count, capacity, has_reader=is_enhancing)
        turns = Turns(options, context.format.hop_s, capacity)
        late_hops = self.spec.latency_samples // format.hop_samples
        findings = Findings(listen.card, options.unsure_below, context.format.hop_s, late_hops, capacity)
        words = Words(listen.card, late_hops, capacity)
        enhancer: Enhancer | OnDemand | None = None
        with_bins = False
        if is_enhancing:
            always = self._enhancer(context, listener, format, capacity)
            enhancer, with_bins = always, always.wants_bins
            if context.audio_demand == "asked":
                rows = min(HELPED, capacity)
                helper = self._enhancer(context, listener, format, rows)
                recall = Recall(capacity, format.hop_samples, listener.context.shape[1:], STEP_HOPS)
                again = FrontEnd(format, rows, with_bins=with_bins)
                enhancer = OnDemand(always, helper, again, recall, late_hops, capacity)
        front_end = FrontEnd(format, capacity, with_bins=with_bins)
        return MeritProcessor(front_end, listener, turns, findings, words, enhancer, options.emotion)

    def _enhancer(self, context: PluginContext, listener: Listener, format: SpectrumFormat, capacity: int) -> Enhancer:
        options = self._options
        model = context.model(options.enhance_bundle)
        if SpectrumFormat.of(model.card) != format:
            raise ModelError(
                f"bundles {options.listen_bundle!r} and {options.enhance_bundle!r} need different front ends",
                "choose two that were trained together",
            )
        least = least_factor(options.wet, options.attenuation_limit_db)
        enhancer = Enhancer(model, format, listener.context.shape[1:], least, capacity)
        if enhancer.latency_samples != _LATENCY_SAMPLES:
            raise ModelError(
                f"bundle {model.card.name!r} delays the audio by {enhancer.latency_samples} samples, not by the "
                f"{_LATENCY_SAMPLES} that the merit plugin declares",
                "choose another `enhance_bundle`",
            )
        return enhancer


class MeritProcessor(RowParts):
    """Runs one hop of every stream through the parts, in the order that keeps the stagger from showing."""

    def __init__(
        self,
        front_end: FrontEnd,
        listener: Listener,
        turns: Turns,
        findings: Findings,
        words: Words,
        enhancer: Enhancer | OnDemand | None,
        tells: bool,
    ) -> None:
        self._front_end = front_end
        self._listener = listener
        self._turns = turns
        self._findings = findings
        self._words = words
        self._enhancer = enhancer
        self._on_demand = enhancer if isinstance(enhancer, OnDemand) else None
        self._tells = tells
        parts = (front_end, listener, turns, findings, words)
        super().__init__(*(parts if enhancer is None else (*parts, enhancer)))

    def process(self, block: Block, emit: Emit) -> None:
        """Enhance one hop, write the marks, compute the steps that are due and emit what they find."""
        on_demand, wanted = self._on_demand, block.is_audio_wanted
        is_enhancing = self._enhancer is not None and bool(wanted.any() if on_demand is None else on_demand.ask(wanted))
        spectrum = self._front_end.process(block.samples, with_bins=is_enhancing)
        complete = self._listener.hear(spectrum.bands, block)
        if self._enhancer is not None and (is_enhancing or on_demand is not None):  # else the engine does without
            self._enhancer.process(spectrum, self._listener.context[: block.n], block.samples)
        self._publish(complete)
        self._findings.show(block)
        self._words.show(block)
        listens = block.marks.get(_LISTENS)
        if listens is not None:  # who was to speak of a turn may be lost before it ends
            self._turns.is_left[: block.n] &= listens != _UNKNOWN
        rows, quiet = self._listener.due(block.flags, self._turns.is_open)
        if len(quiet):
            self._listener.carry(quiet, block.n)
            self._words.pass_over(quiet)
        if block.thrift > 1 and len(rows):
            rows, thin = self._listener.thin(rows, block.thrift, self._turns.is_open)
            if len(thin):
                self._advance(self._listener.carry(thin, block.n), block.thrift, emit)
        if len(rows):
            self._step(rows, block, emit)
        for row in np.flatnonzero(block.flags & _LAST).tolist():
            self._tell(self._turns.end_stream(row), emit)

    def _publish(self, rows: NDArray[np.int64]) -> None:
        """Let the findings of the step before the one that is now complete count; every one is computed by now."""
        if len(rows):
            self._listener.publish(rows)
            self._findings.publish(rows)
            self._words.publish(rows)

    def _step(self, rows: NDArray[np.int64], block: Block, emit: Emit) -> None:
        step = self._listener.step(rows)
        for row in self._turns.begin(step).tolist():
            self._listener.forget_turn(row)
            self._turns.is_left[row] = _LISTENS in block.marks and block.marks[_LISTENS][row] == 1
        outputs = self._listener.run(step, block.n)
        heard = self._turns.is_open[rows]
        self._findings.settle(rows, outputs, heard)
        self._words.settle(rows, outputs, step.weight, heard)
        self._advance(step, block.thrift, emit)

    def _advance(self, step: Step, thrift: int, emit: Emit) -> None:
        """Count the speech of a step, and tell what is due of turns by it."""
        estimates, renewed = self._turns.advance(step, thrift)
        self._tell(estimates, emit)
        for row in renewed:
            self._listener.forget_turn(row)

    def _tell(self, estimates: list[Estimate], emit: Emit) -> None:
        if not self._tells:
            return
        for estimate in estimates:
            if self._turns.is_left[estimate.row]:
                continue
            emit(estimate.row, self._findings.describe(estimate), estimate.start_sample, estimate.end_sample)
