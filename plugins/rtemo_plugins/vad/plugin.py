"""VadPlugin: voice activity detection."""

from typing import ClassVar

import numpy as np

from rtemo.api import (
    Block,
    Emit,
    Mark,
    PluginContext,
    PluginSpec,
    Quality,
    RowParts,
    SpeechEnd,
    SpeechStart,
    StateTable,
    StreamFormat,
    Tone,
)
from rtemo.api.units import seconds_to_hops
from rtemo.dsp.finite import finite_rows
from rtemo_plugins.vad.back_end import UNKNOWN, BackEnd
from rtemo_plugins.vad.options import VadOptions
from rtemo_plugins.vad.silero import MODEL, SileroBackEnd, longest_lag_samples
from rtemo_plugins.vad.steadiness import MUSIC
from rtemo_plugins.vad.tones import ToneDetector
from rtemo_plugins.vad.tuning import rules_for
from rtemo_plugins.vad.turn import CHANGE, MAX_DURATION, REASONS, TURN, Rules, advance
from rtemo_plugins.vad.unspoken import UNSPOKEN, count_unspoken


class VadPlugin:
    """Tells speech from everything else, hop by hop and as stretches with a start and an end."""

    options_type: ClassVar[type[VadOptions]] = VadOptions

    def __init__(self, options: VadOptions) -> None:
        self._options = options

    @property
    def spec(self) -> PluginSpec:
        """Facts about the plugin as configured."""
        is_silero = self._options.back_end == "silero"
        return PluginSpec(
            name="vad",
            summary="Voice activity: speech_start and speech_end; tones of the line and music.",
            version="2",
            analyses="timing",
            emits=(SpeechStart, SpeechEnd, Tone, Quality),
            lookahead_samples=longest_lag_samples(StreamFormat().hop_samples) if is_silero else 0,
            provides=(
                Mark("vad.speech", "uint8", (), UNKNOWN, "1 within speech and its hangover, 0 outside, 255 unknown"),
                Mark("vad.voice", "uint8", (), UNKNOWN, "1 when this hop alone has voice, 0 when not, 255 unknown"),
                Mark("vad.probability", meaning="of voice: a smoothed vote (webrtc) or the network's output (silero)"),
            ),
        )

    def open(self, context: PluginContext, capacity: int) -> "VadProcessor":
        """Make a processor.

        Raises:
            ModelError: The silero back end is chosen and its model cannot be loaded.
            PluginError: The engine's format does not suit the back end.
            ConfigError: The thresholds contradict each other.
        """
        options, format = self._options, context.format
        rules = rules_for(options, format)
        silence_power = 10.0 ** (options.silence_dbfs / 10.0)
        back_end: BackEnd
        if options.back_end == "silero":
            back_end = SileroBackEnd(format, capacity, context.model(MODEL), silence_power, options.forget_s)
        else:
            from rtemo_plugins.vad.webrtc import WebrtcBackEnd

            back_end = WebrtcBackEnd(format, capacity, options.aggressiveness, silence_power)
        return VadProcessor(rules, back_end, format, capacity, options.no_speech_s)


class VadProcessor(RowParts):
    """Runs the tone detector, a back end and the state machine behind it over all rows."""

    def __init__(
        self, rules: Rules, back_end: BackEnd, format: StreamFormat, capacity: int, no_speech_s: float
    ) -> None:
        self._rules = rules
        self._back_end = back_end
        self._rate_hz = format.sample_rate_hz
        self._tones = ToneDetector(format, capacity)
        self._no_speech_s = no_speech_s
        self._no_speech_hops = seconds_to_hops(no_speech_s, format.sample_rate_hz, format.hop_samples)
        self._state = StateTable(capacity)
        self._turns = self._state.add("turn", (), TURN)
        self._changes = np.zeros(capacity, CHANGE)
        self._unspoken = self._state.add("unspoken", (), UNSPOKEN)
        super().__init__(self._state, self._tones, back_end)

    def process(self, block: Block, emit: Emit) -> None:
        """Judge one hop, write the marks, and emit what has started or ended."""
        n, hop = block.n, self._rules.hop_samples
        probability, voice, speech = (block.marks[f"vad.{name}"] for name in ("probability", "voice", "speech"))
        toned = self._tones.process(finite_rows(block.samples), block.start_sample)
        self._back_end.judge(block, probability, voice, toned)
        position = block.start_sample - self._back_end.lag_samples[:n]
        changes = self._changes[:n]
        advance(self._rules, probability, position, block.flags, self._turns, changes, speech)
        for row in np.flatnonzero(changes["started"] | changes["reason"]).tolist():
            self._announce(row, changes[row], probability[row], int(position[row]) + hop, emit)
        now = block.start_sample + hop
        for tone in self._tones.findings(n):
            found = Tone(name=tone.name, digit=tone.digit, frequencies_hz=tone.frequencies_hz)
            emit(tone.row, found, tone.start_sample, int(now[tone.row]))
        began = self._back_end.began[:n]
        for row in np.flatnonzero((began > 0) & (toned == 0)).tolist():
            name = "music" if began[row] == MUSIC else "tone"
            emit(row, Tone(name=name), max(0, int(now[row]) - self._rate_hz), int(now[row]))
        if count_unspoken(self._tones.sounding(n), speech, block.start_sample, self._no_speech_hops, self._unspoken):
            for row in np.flatnonzero(self._unspoken["hops"][:n] == self._no_speech_hops).tolist():
                detail = (
                    f"{self._no_speech_s:g} s of sound and no speech in it: music, a tone or noise, or the wrong input"
                )
                start_sample = int(self._unspoken["start"][row])
                emit(row, Quality(problem="no_speech", detail=detail), start_sample, int(now[row]))

    def _announce(self, row: int, change: np.void, probability: float, now_sample: int, emit: Emit) -> None:
        reason = int(change["reason"])
        if change["started"] and reason != MAX_DURATION:
            self._announce_start(row, change, probability, now_sample, emit)
        if reason:
            start, end = int(change["ended_start"]), int(change["ended_end"])
            emit(row, SpeechEnd(speech_s=(end - start) / self._rate_hz, reason=REASONS[reason]), start, end)
        if change["started"] and reason == MAX_DURATION:
            self._announce_start(row, change, probability, now_sample, emit)

    def _announce_start(self, row: int, change: np.void, probability: float, now_sample: int, emit: Emit) -> None:
        emit(row, SpeechStart(confidence=round(float(probability), 3)), int(change["start"]), now_sample)
