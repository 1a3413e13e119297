"""The chain: configuration, plugins, models, and a few seconds of sound through all of it."""

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from rtemo.cli.checks.finding import Finding
from rtemo.config import Config, find_file

_SOUND_S = 3.0


def configuration(path: Path | None) -> Iterator[Finding]:
    """Which configuration is in force; it has been loaded already."""
    file = path or find_file()
    yield Finding("configuration", "pass", str(file) if file else "defaults (no file found)")


def plugins(config: Config) -> Iterator[Finding]:
    """Whether the chain's plugins load and fit together."""
    from rtemo.engine.chain_order import check
    from rtemo.engine.registry import make

    check([make(name, config.plugin_options(name)).spec for name in config.chain])
    yield Finding("chain", "pass", " → ".join(config.chain) or "empty: no plugin will run")


def models(config: Config) -> Iterator[Finding]:
    """Whether the weights of every installed bundle are those of its card."""
    from rtemo.api import ModelError
    from rtemo.runtime.places import MissingFileError
    from rtemo.runtime.store import find, installed

    for name in installed():
        try:
            bundle = find(name, config.runtime.folders)
            try:
                bundle.read_files(keep=False)
            except MissingFileError as error:
                if not bundle.is_optional:
                    raise
                yield Finding(f"model {name}", "pass", f"not here, which only who asks for it needs; {error.mend}")
                continue
        except ModelError as error:
            yield Finding(f"model {name}", "note", error.problem, error.mend)
        else:
            yield Finding(f"model {name}", "pass", f"{bundle.card.version}, sha256 {bundle.card.sha256[:12]}… proven")


def tick(p50_us: float, p99_us: float, hop_us: float) -> Finding:
    """Whether one stream is worked on faster than its audio comes in.

    >>> [tick(*times_us, 10_000.0).verdict for times_us in ((12_100.0, 14_000.0), (900.0, 10_400.0), (600.0, 900.0))]
    ['fail', 'note', 'pass']

    Args:
        p50_us: Median time of a tick.
        p99_us: Its 99th percentile.
        hop_us: Duration of a hop.
    """
    detail = f"{p50_us / 1e3:.1f} ms (p50), {p99_us / 1e3:.1f} ms (p99) for each hop of {hop_us / 1e3:g} ms"
    if p50_us >= hop_us:
        mend = "this machine cannot follow one live stream: shorten `chain` (see `rtemo bench`)"
        return Finding("tick", "fail", detail, mend)
    if p99_us >= hop_us:
        mend = "some ticks will be late: stop what else runs, or shorten `chain` (see `rtemo bench`)"
        return Finding("tick", "note", detail, mend)
    return Finding("tick", "pass", detail)


def sound_through(config: Config) -> Iterator[Finding]:
    """Whether events come out when speech-like sound goes in."""
    from rtemo.cli.starting import StartLine
    from rtemo.dsp.voice import nonsense
    from rtemo.session import Session

    engine = msgspec.structs.replace(config.engine, capacity=1)
    start_s = time.perf_counter()
    with Session(msgspec.structs.replace(config, engine=engine), mode="freewheel", on_progress=StartLine()) as session:
        ready_s = time.perf_counter() - start_s
        stream = session.stream("doctor")
        stream.push(nonsense(_SOUND_S, seed=1))
        stream.end()
        events = list(session.events(timeout_s=5.0))
        health = session.health()
    faults = [event.data for event in events if event.kind == "fault"]
    if faults:
        yield Finding("sound through", "fail", f"{faults[0]}", "see the plugin named")
        return
    yield tick(health.tick_p50_us, health.tick_p99_us, session.engine.format.hop_s * 1e6)
    kinds = sorted({event.kind for event in events if event.call} - {"stream_start", "stream_end"})
    yield Finding(
        "sound through",
        "pass" if kinds or not config.chain else "fail",
        f"ready in {ready_s:.1f} s; {', '.join(kind.replace('_', ' ') for kind in kinds) or 'no events'}",
        ""
        if kinds or not config.chain
        else "no speech was found in speech-like sound: put a plugin that finds it into `chain`",
    )
