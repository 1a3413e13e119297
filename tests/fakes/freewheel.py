"""Play: streams that begin together through an engine, freewheeling, to their end."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rtemo.api import Event
from rtemo.engine.engine import Engine

_STEPS = 100_000


def play(engine: Engine, sounds: Mapping[str, NDArray[np.float32]], analysis: str = "person") -> list[Event]:
    """Open and run an engine on the calling thread until all streams have ended, and stop it; all that was said.

    Args:
        engine: Not opened yet.
        sounds: Call → its sound at the rate of the engine.
        analysis: What the policy lets be analysed of each.
    """
    engine.open()
    engine.lanes.start()
    try:
        for call, sound in sounds.items():
            writer = engine.open_stream(call, "0", prefill_s=0.0, analysis=analysis)
            assert writer.write(sound) == len(sound)
            writer.end("end")
        for _ in range(_STEPS):
            if engine.floor.is_empty:
                break
            engine.driver.step(engine.chain.turn.holder)
        assert engine.floor.is_empty
    finally:
        events = engine.outbox.take(0.0)
        engine.stop("test is over")
    faults = [event.data for event in events if event.kind == "fault"]
    assert not faults, faults
    return events
