"""What rtemo adds inside voice assistants: `python -m bench.speed.assistants --seconds 20`.

So many pipelines of one process, on one event loop and one engine, are given frames of 20 ms at the pace of real time.
Of every frame it is measured how long it is on its way, with rtemo in the pipeline and without; the audio in it is
older by the declared delay besides.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import soundfile

from rtemo.config import Config
from rtemo.engine.options import EngineOptions
from rtemo.integrations.hearing import Hearing

_CALL = Path(__file__).parents[2] / "examples" / "call.flac"
_RATE_HZ, _FRAME = 8_000, 160
_STAGGER_S = 0.0009


def voice() -> np.ndarray:
    """Give the caller of the example call, int16 at 8 kHz."""
    audio, rate_hz = soundfile.read(_CALL, dtype="int16", always_2d=True)
    assert rate_hz == _RATE_HZ
    return np.ascontiguousarray(audio[:, 0])


async def paced(number: int, seconds: float, give: Callable[[np.ndarray], Awaitable[None]]) -> None:
    """Give a frame every 20 ms, each pipeline at a moment of its own and from another place of the call."""
    sound = np.roll(voice(), -number * 7 * _RATE_HZ)
    begun_s = time.monotonic() + number * _STAGGER_S
    for index in range(round(seconds * 50)):
        await asyncio.sleep(max(0.0, begun_s + index * 0.02 - time.monotonic()))
        at = index * _FRAME % (len(sound) - _FRAME)
        await give(sound[at : at + _FRAME])


async def pipecat_row(count: int, seconds: float, hearing: Hearing | None) -> dict[str, object]:
    """Run pipelines of pipecat; tell times on the way in ms, and what came of the audio."""
    from pipecat.frames.frames import EndFrame, InputAudioRawFrame
    from pipecat.pipeline.pipeline import Pipeline
    from pipecat.pipeline.worker import PipelineWorker
    from pipecat.processors.frame_processor import FrameProcessor
    from pipecat.workers.runner import WorkerRunner

    from rtemo.integrations.pipecat import RtemoProcessor, TurnFrame

    transits_ms: list[float] = []
    turns_s: list[float] = []

    class End(FrameProcessor):
        async def process_frame(self, frame: object, direction: object) -> None:
            await super().process_frame(frame, direction)
            if isinstance(frame, InputAudioRawFrame) and "begun" in frame.metadata:
                transits_ms.append(1e3 * (time.perf_counter() - frame.metadata["begun"]))
            elif isinstance(frame, TurnFrame) and frame.turn.latency_s is not None:
                turns_s.append(frame.turn.latency_s)
            await self.push_frame(frame, direction)

    processors = [RtemoProcessor(hearing, call=f"call-{n}") for n in range(count)] if hearing is not None else []

    async def one(number: int) -> None:
        middle = [processors[number]] if processors else []
        worker = PipelineWorker(Pipeline([*middle, End()]), cancel_on_idle_timeout=False, enable_rtvi=False)
        started = asyncio.Event()

        @worker.event_handler("on_pipeline_started")
        async def on_started(*_: object) -> None:
            started.set()

        async def give(pcm: np.ndarray) -> None:
            frame = InputAudioRawFrame(audio=pcm.tobytes(), sample_rate=_RATE_HZ, num_channels=1)
            frame.metadata["begun"] = time.perf_counter()
            await worker.queue_frame(frame)

        async def feed() -> None:
            await started.wait()
            await paced(number, seconds, give)
            await worker.queue_frame(EndFrame())

        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        await asyncio.gather(runner.run(), feed())

    await asyncio.gather(*(one(number) for number in range(count)))
    row: dict[str, object] = {"transit": transits_ms, "turns": turns_s}
    if processors:
        ears = [processor.ear for processor in processors if processor.ear is not None]
        row["delay_ms"] = 1e3 * ears[0].latency_s
        row["plain"] = sum(ear.plain_samples for ear in ears) / max(1, sum(ear.exchanged_samples for ear in ears))
        row["exchange_us"] = [one for processor in processors for one in processor.exchange_times_us]
    return row


async def livekit_row(count: int, seconds: float, hearing: Hearing) -> dict[str, object]:
    """Call the noise cancellation as LiveKit's audio streams do; tell how long it keeps them, in ms."""
    from livekit import rtc

    from rtemo.integrations.livekit import RtemoListener, RtemoNoiseCancellation

    listeners = [RtemoListener(hearing, call=f"room-{n}") for n in range(count)]
    held_ms: list[float] = []

    async def one(number: int) -> None:
        processor = RtemoNoiseCancellation(listeners[number])

        async def give(pcm: np.ndarray) -> None:
            begun_s = time.perf_counter()
            processor._process(rtc.AudioFrame(pcm.tobytes(), _RATE_HZ, 1, len(pcm)))
            held_ms.append(1e3 * (time.perf_counter() - begun_s))

        await paced(number, seconds, give)

    await asyncio.gather(*(one(number) for number in range(count)))
    delay_ms = 1e3 * listeners[0].latency_s
    for listener in listeners:
        await listener.aclose()
    return {"transit": held_ms, "delay_ms": delay_ms}


def _percentiles(values: list[float]) -> str:
    return f"{np.median(values):.2f} / {np.percentile(values, 99):.2f}" if values else "none"


async def measure(sessions: list[int], seconds: float, config: Config, margin_s: float) -> None:
    """Print the table."""
    print(f"chain {', '.join(config.chain)}; owns the process: {config.engine.owns_process}; ", end="")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors\n")
    print("| sessions | framework | frame on its way, ms p50 / p99 | added at p99, ms | declared delay, ms | ", end="")
    print("in rtemo, us p50 / p99 | audio as it came | turn known after its last sample, s |")
    print("|---|---|---|---|---|---|---|---|")
    for count in sessions:
        bare = await pipecat_row(count, min(seconds, 5.0), None)
        print(f"| {count} | pipecat without | {_percentiles(bare['transit'])} | | | | | |", flush=True)
        hearing = Hearing(config, margin_s=margin_s)
        await hearing.ready()
        row = await pipecat_row(count, seconds, hearing)
        added_ms = np.percentile(row["transit"], 99) - np.percentile(bare["transit"], 99)
        turns = f"{np.median(row['turns']):.2f}" if row["turns"] else "none"
        print(
            f"| {count} | pipecat | {_percentiles(row['transit'])} | {added_ms:.2f} | {row['delay_ms']:.0f} | "
            f"{_percentiles(row['exchange_us'])} | {row['plain']:.1%} | {turns} |",
            flush=True,
        )
        row = await livekit_row(count, seconds, hearing)
        added_ms = np.percentile(row["transit"], 99)
        print(f"| {count} | LiveKit | {_percentiles(row['transit'])} | {added_ms:.2f} | {row['delay_ms']:.0f} | | | |")
        await hearing.close()


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, nargs="*", default=[1, 20])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--chain", default="default", help="plugins with commas between, or a chain by name")
    parser.add_argument("--margin-s", type=float, default=0.01, help="as of `Hearing`")
    parser.add_argument("--owns-process", action="store_true", help="as `engine.owns_process = true`")
    arguments = parser.parse_args()
    from loguru import logger

    logger.remove()
    engine = EngineOptions(owns_process=arguments.owns_process)
    config = Config(chain=tuple(arguments.chain.split(",")), engine=engine)
    asyncio.run(measure(arguments.sessions, arguments.seconds, config, arguments.margin_s))


if __name__ == "__main__":
    main()
