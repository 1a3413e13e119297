"""Numbers as people read them."""

from collections.abc import Iterable

from rtemo.api import Counters, Health, SinkState
from rtemo.api.text import plain


def clock(duration_s: float) -> str:
    """Write a position or duration.

    >>> clock(3.25), clock(75.04), clock(3725)
    ('0:03.2', '1:15.0', '1:02:05')
    """
    tenths = int(duration_s * 10)
    minutes, tenths = divmod(tenths, 600)
    if minutes >= 60:
        return f"{minutes // 60}:{minutes % 60:02d}:{tenths // 10:02d}"
    return f"{minutes}:{tenths // 10:02d}.{tenths % 10}"


def signed(value: float) -> str:
    """Write a number with its sign; what rounds to zero is positive.

    >>> signed(0.5), signed(-0.25), signed(-0.001)
    ('+0.50', '-0.25', '+0.00')
    """
    return f"{round(value, 2) + 0.0:+.2f}"


def micros(duration_us: float) -> str:
    """Write a compute time with at most three digits.

    >>> micros(3.14), micros(415.9), micros(1250.0), micros(123456.0)
    ('3.1 µs', '416 µs', '1.25 ms', '123 ms')
    """
    if duration_us < 10:
        return f"{duration_us:.1f} µs"
    if duration_us < 1000:
        return f"{duration_us:.0f} µs"
    return f"{duration_us / 1e3:.2f} ms" if duration_us < 10_000 else f"{duration_us / 1e3:.0f} ms"


_MEANINGS = {
    "xruns": "ticks that ended late",
    "lost": "never arrived",
    "overrun": "came faster than it was taken",
    "skipped": "hops left out to keep up",
    "dropped": "events that nobody took in time",
    "concealed": "hops filled for audio that was late",
}


def troubles(counters: Counters, sample_rate_hz: int = 16_000) -> list[tuple[str, str, bool]]:
    """List the counters as (name, value with unit, whether it is trouble), in a fixed order."""
    lost_ms = 1e3 * counters.source_lost_samples / sample_rate_hz
    overrun_ms = 1e3 * counters.overrun_samples / sample_rate_hz
    return [
        ("xruns", f"{counters.xruns}", counters.xruns > 0),
        ("lost", _millis(lost_ms), lost_ms > 0),
        ("overrun", _millis(overrun_ms), overrun_ms > 0),
        ("skipped", f"{counters.skipped_hops}", counters.skipped_hops > 0),
        ("dropped", f"{counters.dropped_events}", counters.dropped_events > 0),
        ("concealed", f"{counters.concealed_hops}", counters.concealed_hops > 0),
    ]


def counted(counters: Counters, is_explained: bool = False) -> str:
    """Say which counters are not zero; empty when all are.

    >>> counted(Counters(xruns=2, source_lost_samples=1600))
    'xruns 2, lost 100 ms'
    >>> counted(Counters(xruns=2), is_explained=True)
    'xruns 2 (ticks that ended late)'
    """
    return ", ".join(
        f"{name} {value}" + (f" ({_MEANINGS[name]})" if is_explained else "")
        for name, value, is_trouble in troubles(counters)
        if is_trouble
    )


def sink_troubles(sinks: Iterable[SinkState], sample_rate_hz: int = 16_000) -> list[tuple[str, str, bool]]:
    """List what became of processed audio on its way out as (name, value with unit, whether it is trouble).

    >>> sink_troubles([SinkState(name="playback", underrun_samples=320), SinkState(name="audio-out", dropped_hops=2)])
    [('playback', 'underrun 20 ms', True), ('audio-out', 'dropped 2 hops', True)]
    """
    found = []
    for sink in sinks:
        parts = [
            f"{what} {_millis(1e3 * count_samples / sample_rate_hz)}"
            for what, count_samples in (("underrun", sink.underrun_samples), ("overrun", sink.overrun_samples))
            if count_samples
        ]
        parts += [f"dropped {sink.dropped_hops} hops"] if sink.dropped_hops else []
        parts += ["closed"] if sink.state != "running" else []
        found.append((sink.name, ", ".join(parts) or "ok", bool(parts)))
    return found


def counted_sinks(sinks: Iterable[SinkState]) -> str:
    """Say what was lost on the way out; empty when nothing was."""
    return ", ".join(f"{name} {value}" for name, value, is_trouble in sink_troubles(sinks) if is_trouble)


def _millis(duration_ms: float) -> str:
    return f"{duration_ms:.0f} ms" if duration_ms == 0 or duration_ms >= 1 else "< 1 ms"


def overload_troubles(health: Health) -> list[tuple[str, str, bool]]:
    """Say what the engine does without since it cannot carry its load, and for how long; nothing where it can.

    >>> import msgspec
    >>> nothing = Health(
    ...     streams=1, capacity=1, ticks=1, load=1, tick_p50_us=1, tick_p99_us=1, late_p99_us=1, counters=Counters()
    ... )
    >>> overload_troubles(nothing)
    []
    >>> overload_troubles(msgspec.structs.replace(nothing, given_up=("extras", "words"), given_up_s=75.0))
    [('overload', 'without extras, words for 1:15.0', True)]
    """
    if not health.given_up:
        return []
    return [("overload", f"without {plain(', '.join(health.given_up))} for {clock(health.given_up_s)}", True)]
