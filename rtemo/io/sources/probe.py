"""Probe: why a microphone does not work, step by step."""

import math
import time

import msgspec
import numpy as np

from rtemo.api import DeviceError, RtemoError
from rtemo.io.sources.capture import CaptureBackend, absence_mend
from rtemo.io.sources.capture_backends import capture_backend
from rtemo.io.sources.capture_line import CaptureLine, LineBlock
from rtemo.io.sources.options import MicrophoneOptions

_RATE_TOLERANCE = 0.04  # a second is too short to tell a drift, but long enough to tell 44.1 from 48 kHz
_SETTLE_S = 0.3  # sound servers deliver late, or all at once, while a stream starts
_RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000, 192_000)
_SILENT_DBFS = -90.0
_CLIPPED = 0.9999


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing looked at."""

    what: str
    """What was looked at, in a few words."""
    ok: bool
    detail: str
    """What was found."""
    mend: str = ""
    """What to do when it is not ok."""


def probe_microphone(
    options: MicrophoneOptions | None = None,
    *,
    backend: CaptureBackend | None = None,
    engine_rate_hz: int = 16_000,
    listen_s: float = 1.0,
) -> list[Finding]:
    """Look at everything between a microphone and the engine, and stop at the first thing that blocks the rest.

    Args:
        options: Device and its settings.
        backend: Binding of PortAudio; that of the options when None.
        engine_rate_hz: Rate the audio must be converted to.
        listen_s: How long to listen.

    Returns:
        Findings in the order of the audio's way: library, devices, device, opening, first audio, rate, loss, signal.
        Never raises for what is wrong with the device.
    """
    options = options or MicrophoneOptions()
    findings: list[Finding] = []
    try:
        backend = backend or capture_backend(options.backend)
        findings.append(Finding(what="audio library", ok=True, detail=f"{backend.name}, {backend.version}"))
        backend.refresh()
        devices = backend.devices()
        if not devices:
            raise DeviceError("no capture device was found", absence_mend())
        names = ", ".join(device.name for device in devices)
        findings.append(Finding(what="capture devices", ok=True, detail=f"{len(devices)}: {names}"))
        line = CaptureLine(backend, options, engine_rate_hz, wanted=options.device)
    except RtemoError as error:
        blocked = ("audio library", "capture devices", "microphone")[len(findings)]
        return [*findings, Finding(what=blocked, ok=False, detail=error.problem, mend=error.mend)]
    try:
        findings += _listen(line, options, listen_s)
    finally:
        line.close(2.0)
    return findings


def _listen(line: CaptureLine, options: MicrophoneOptions, listen_s: float) -> list[Finding]:
    device = line.device
    detail = (
        f"{device.name} ({device.host_api}), {device.channels} channel(s), {line.rate_hz} Hz, "
        f"{1000 * line.latency_s:.0f} ms buffering"
    )
    findings = [Finding(what="microphone", ok=True, detail=detail)]
    started_s = time.monotonic()
    try:
        line.wait_for_audio(options.first_frame_s)
    except DeviceError as error:
        return [*findings, Finding(what="first audio", ok=False, detail=error.problem, mend=error.mend)]
    first_ms = 1000 * (time.monotonic() - started_s)
    findings.append(Finding(what="first audio", ok=True, detail=f"after {first_ms:.0f} ms"))
    blocks: list[LineBlock] = []
    end_s = time.monotonic() + listen_s
    while time.monotonic() < end_s:
        time.sleep(0.01)
        blocks += line.take()
    return [*findings, _rate_finding(line, blocks), _loss_finding(blocks), _signal_finding(blocks)]


def _rate_finding(line: CaptureLine, blocks: list[LineBlock]) -> Finding:
    """Compare how much audio came with how long it took, by the device's own stamps, once it has settled.

    What a busy machine or the start of a stream does to the stamps looks like a wrong rate, too. Another rate is
    advised only when it is one at which devices run, and each half of the time says so.
    """
    span_s = _span_s(blocks)
    if span_s <= 0:
        return Finding(
            what="sample rate",
            ok=False,
            detail="the device fell silent after its first audio",
            mend="unplug it and plug it in again, or choose another one",
        )
    start_ns = blocks[0].end_ns
    settled = [block for block in blocks if (block.end_ns - start_ns) * 1e-9 >= min(_SETTLE_S, span_s / 3)]
    middle = len(settled) // 2
    halves = [settled[: middle + 1], settled[middle:]]
    whole_hz = _measured_hz(settled) or _measured_hz(blocks)
    detail = f"{line.rate_hz} Hz stated, {whole_hz:.0f} Hz measured"
    if any(_is_near(hz, line.rate_hz) for hz in (whole_hz, *map(_measured_hz, halves))):
        return Finding(what="sample rate", ok=True, detail=detail)
    nearest_hz = min(_RATES_HZ, key=lambda hz: abs(hz - whole_hz))
    if all(_is_near(hz, nearest_hz) for hz in (whole_hz, *map(_measured_hz, halves))):
        mend = f"set sources.microphone.sample_rate_hz to what the device really runs at, {nearest_hz}"
        return Finding(what="sample rate", ok=False, detail=detail, mend=mend)
    return Finding(what="sample rate", ok=True, detail=f"{detail}: too unevenly to tell")


def _span_s(blocks: list[LineBlock]) -> float:
    return (blocks[-1].end_ns - blocks[0].end_ns) * 1e-9 if blocks else 0.0


def _measured_hz(blocks: list[LineBlock]) -> float:
    """Rate from the end of the first block to that of the last; 0 when that is no time."""
    span_s = _span_s(blocks)
    return sum(block.samples.shape[0] for block in blocks[1:]) / span_s if span_s > 0 else 0.0


def _is_near(measured_hz: float, rate_hz: float) -> bool:
    return abs(measured_hz / rate_hz - 1) < _RATE_TOLERANCE


def _loss_finding(blocks: list[LineBlock]) -> Finding:
    losses = sum(block.has_overflowed or block.lost_frames > 0 for block in blocks[1:])
    return Finding(
        what="lost audio",
        ok=not losses,
        detail=f"{losses} overflow(s) in {len(blocks)} blocks" if losses else "none",
        mend="raise sources.microphone.latency_s, or lower the load of this computer" if losses else "",
    )


def _signal_finding(blocks: list[LineBlock]) -> Finding:
    samples = np.concatenate([block.samples for block in blocks])
    peak = float(np.max(np.abs(samples), initial=0.0))
    rms = math.sqrt(float(np.mean(np.square(samples, dtype=np.float64)))) if samples.size else 0.0
    level_dbfs = 20 * math.log10(max(rms, 1e-10))
    mend = ""
    if level_dbfs < _SILENT_DBFS:
        mend = "the signal is digital silence: unmute the microphone, raise its gain, or check the privacy settings"
    elif peak >= _CLIPPED:
        mend = "the signal clips: lower the gain of the microphone"
    detail = f"level {level_dbfs:.0f} dBFS, peak {20 * math.log10(max(peak, 1e-10)):.0f} dBFS"
    return Finding(what="signal", ok=not mend, detail=detail, mend=mend)
