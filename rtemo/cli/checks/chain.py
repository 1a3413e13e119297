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
    from rtemo.engine.chain import check
    from rtemo.engine.registry import make

    check([make(name, config.plugin_options(name)).spec for name in config.chain])
    yield Finding("chain", "pass", " → ".join(config.chain) or "empty: no plugin will run")


def models() -> Iterator[Finding]:
    """Whether the weights of every installed bundle are those of its card."""
    from rtemo.api import ModelError
    from rtemo.runtime.store import find, installed

    for name in installed():
        try:
            bundle = find(name)
            bundle.read_weights()
        except ModelError as error:
            yield Finding(f"model {name}", "note", error.problem, error.mend)
        else:
            yield Finding(f"model {name}", "pass", f"{bundle.card.version}, sha256 {bundle.card.sha256[:12]}… proven")


def sound_through(config: Config) -> Iterator[Finding]:
    """Whether events come out when speech-like sound goes in."""
    from rtemo.dsp.voice import nonsense
    from rtemo.session import Session

    engine = msgspec.structs.replace(config.engine, capacity=1)
    start_s = time.perf_counter()
    with Session(msgspec.structs.replace(config, engine=engine), mode="freewheel") as session:
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
    kinds = sorted({event.kind for event in events if event.call} - {"stream_start", "stream_end"})
    yield Finding(
        "sound through",
        "pass" if kinds or not config.chain else "fail",
        f"ready in {ready_s:.1f} s, a tick takes {health.tick_p99_us:.0f} µs (p99); "
        f"{', '.join(kind.replace('_', ' ') for kind in kinds) or 'no events'}",
        "" if kinds or not config.chain else "nothing was found in speech-like sound: put level and vad into `chain`",
    )
