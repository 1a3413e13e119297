"""The process of a lane: opens the work it is told of and works on windows until the parent goes."""

import sys
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import msgspec
import numpy as np

from rtemo.api import StreamFormat
from rtemo.api.lane import Window
from rtemo.engine.lane_process import Answer, Batch, Opening, decode, encode, find
from rtemo.engine.lane_worker import LentContext


def main() -> int:
    """Serve the socket whose descriptor is the one argument."""
    pipe = Connection(int(sys.argv[1]))
    opening: Opening = decode(pipe.recv_bytes(), Opening)
    try:
        context = LentContext(StreamFormat(opening.sample_rate_hz, opening.hop_samples), _store_of(opening))
        options = msgspec.convert(opening.options, find(opening.options_type)) if opening.options_type else None
        work = find(opening.work)(context, options)
    except Exception as error:
        pipe.send_bytes(encode(Answer(problem=f"it cannot be opened ({type(error).__name__}: {error})")))
        return 1
    pipe.send_bytes(encode(Answer()))
    while True:
        try:
            batch: Batch = decode(pipe.recv_bytes(), Batch)
            samples = np.frombuffer(pipe.recv_bytes(), np.float32)
        except EOFError:
            return 0
        pipe.send_bytes(encode(_answer(work, batch, samples)))


def _store_of(opening: Opening) -> Any:
    if not opening.store:
        return None
    store = find(opening.store)
    if not opening.store_options_type:
        return store
    return partial(store, msgspec.convert(opening.store_options, find(opening.store_options_type)))


def _answer(work: Any, batch: Batch, samples: Any) -> Answer:
    edges = np.cumsum(batch.lengths)[:-1]
    windows = [
        Window(stream, part, start_sample, trigger)
        for stream, part, start_sample, trigger in zip(
            batch.streams, np.split(samples, edges), batch.starts, batch.triggers, strict=True
        )
    ]
    try:
        return Answer(list(work(windows)))
    except Exception as error:
        return Answer(problem=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    sys.exit(main())
