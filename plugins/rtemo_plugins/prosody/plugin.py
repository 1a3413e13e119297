"""ProsodyPlugin: pitch, rate and tilt of speech."""

import math
from typing import ClassVar

import numpy as np

from rtemo.api import (
    Block,
    ConfigError,
    Emit,
    HopFlag,
    Mark,
    PluginContext,
    PluginSpec,
    Prosody,
    RowParts,
    StateTable,
    StreamFormat,
)
from rtemo.api.units import seconds_to_hops
from rtemo.dsp.finite import finite_rows
from rtemo.dsp.logmel import LogMel
from rtemo.dsp.pitch import PitchTracker
from rtemo.dsp.rate import SpeechRate
from rtemo.dsp.tilt import SpectralTilt
from rtemo_plugins.prosody.options import ProsodyOptions
from rtemo_plugins.prosody.tally import LEAST_RANGE_HOPS, LEAST_VOICED_HOPS, REPORT, TALLY, count

_SILENCE = 0  # of `vad.speech` and `vad.voice`: anything else, unknown too, is listened to


class ProsodyPlugin:
    """Follows pitch hop by hop and reports every second of speech."""

    options_type: ClassVar[type[ProsodyOptions]] = ProsodyOptions

    def __init__(self, options: ProsodyOptions) -> None:
        self._options = options

    @property
    def spec(self) -> PluginSpec:
        """Facts about the plugin as configured."""
        return PluginSpec(
            name="prosody",
            summary="Pitch, pitch range, rate of speech and spectral tilt.",
            version="1",
            gives_way=("extras",),
            emits=(Prosody,),
            provides=(
                Mark("prosody.pitch_hz", meaning="fundamental frequency of the last 42 ms; 0 when unvoiced"),
                Mark("prosody.voicing", meaning="confidence, 0 to 1, that they are voiced"),
            ),
            requires=("vad.speech", "vad.voice"),
        )

    def open(self, context: PluginContext, capacity: int) -> "ProsodyProcessor":
        """Make a processor.

        Raises:
            ConfigError: The pitch range is empty.
        """
        options = self._options
        if options.low_hz >= options.high_hz:
            raise ConfigError(
                f"prosody: low_hz {options.low_hz} is not below high_hz {options.high_hz}", "make it lower"
            )
        return ProsodyProcessor(options, context.format, capacity)


class ProsodyProcessor(RowParts):
    """Measures all rows at every hop: the kernels cost under 3 us per stream, so nothing needs a slower cadence."""

    def __init__(self, options: ProsodyOptions, format: StreamFormat, capacity: int) -> None:
        rate_hz, hop = format.sample_rate_hz, format.hop_samples
        self._rate_hz = rate_hz
        self._hop_samples = hop
        self._interval_hops = seconds_to_hops(options.interval_s, rate_hz, hop)
        self._least_hops = seconds_to_hops(options.least_s, rate_hz, hop)
        self._pitch = PitchTracker(
            capacity, hop_samples=hop, rate_hz=rate_hz, low_hz=options.low_hz, high_hz=options.high_hz
        )
        self._rate = SpeechRate(capacity, hop_samples=hop, rate_hz=rate_hz)
        self._log_mel = LogMel(capacity, rate_hz=rate_hz, hop_samples=hop)
        self._tilt = SpectralTilt(capacity, self._log_mel.filterbank, rate_hz=rate_hz)
        self._state = StateTable(capacity)
        self._tallies = self._state.add("tally", (), TALLY)
        self._voiced_hz = self._state.add("voiced_hz", (self._interval_hops,), np.float32)
        self._reports = np.zeros(capacity, REPORT)
        super().__init__(self._state, self._pitch, self._rate, self._log_mel)

    def process(self, block: Block, emit: Emit) -> None:
        """Measure one hop, write the marks, and report the seconds that are complete."""
        samples = finite_rows(block.samples)
        in_turn = block.marks["vad.speech"] != _SILENCE
        is_real = (block.flags & np.uint8(HopFlag.CONCEALED)) == 0
        is_speech = in_turn & is_real & (block.marks["vad.voice"] != _SILENCE)
        pitch = self._pitch.process(samples)
        rate = self._rate.process(samples, is_speech)
        tilt = self._tilt.process(self._log_mel.process(samples))
        is_voiced = pitch.is_voiced
        block.marks["prosody.pitch_hz"][:] = pitch.hz * is_voiced
        block.marks["prosody.voicing"][:] = pitch.voicing
        is_last = (block.flags & np.uint8(HopFlag.LAST)) != 0
        if count(
            in_turn, is_speech, is_last, block.start_sample, self._hop_samples, pitch.hz, is_voiced, rate.peaks, tilt,
            self._interval_hops, self._least_hops, self._tallies, self._voiced_hz, self._reports,
        ):  # fmt: skip
            for row in np.flatnonzero(self._reports["is_due"][: block.n]).tolist():
                report = self._reports[row]
                emit(row, self._prosody(report), int(report["start"]), int(report["end"]))

    def _prosody(self, report: np.void) -> Prosody:
        speech_s = int(report["speech_hops"]) * self._hop_samples / self._rate_hz
        voiced_hops = int(report["voiced_hops"])
        pitch_hz = pitch_range = None
        if voiced_hops >= LEAST_VOICED_HOPS:
            pitch_hz = round(float(report["pitch_hz"]), 1)
        if voiced_hops >= LEAST_RANGE_HOPS:
            pitch_range = round(12.0 * math.log2(report["high_hz"] / report["low_hz"]), 2)
        return Prosody(
            pitch_hz=pitch_hz,
            pitch_range_semitones=pitch_range,
            voiced_ratio=round(voiced_hops / int(report["speech_hops"]), 3),
            rate_per_s=round(int(report["peaks"]) / speech_s, 2),
            tilt_db_per_octave=round(float(report["tilt"]), 2),
            speech_s=speech_s,
        )
