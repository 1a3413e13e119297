"""AsyncSession on real event loops: it is not held up, cancelling loses nothing, loops end with the call."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import rtemo
from rtemo.api import AudioInputError, ConfigError
from rtemo.engine.options import EngineOptions
from tests.engine.rig import RATE_HZ, noise

pytestmark = pytest.mark.engine

CALL = Path(__file__).parents[2] / "examples" / "call.flac"
TIMING = rtemo.Config(chain=("level", "vad"))

Run = Callable[[Coroutine[Any, Any, Any]], Any]


def run_plain(main: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(main)


def run_uvloop(main: Coroutine[Any, Any, Any]) -> Any:
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


@pytest.fixture(params=[run_plain, run_uvloop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    return request.param


def caller() -> np.ndarray:
    audio, rate_hz = soundfile.read(CALL, dtype="float32", always_2d=True)
    assert rate_hz == 8_000
    return np.ascontiguousarray(audio[6 * rate_hz : 16 * rate_hz, 0])


async def heart_beats(stop: asyncio.Event, late: list[float]) -> None:
    while not stop.is_set():
        due_s = time.monotonic() + 0.01
        await asyncio.sleep(0.01)
        late.append(time.monotonic() - due_s)


def test_a_call_gives_its_turns_with_what_was_found_and_the_loop_ends_with_it(run: Run) -> None:
    async def main() -> list[rtemo.Turn]:
        async with rtemo.AsyncSession(mode="freewheel") as session:
            stream = session.stream("call-1", "caller", sample_rate_hz=8_000, role="caller")
            await stream.push(caller())
            await stream.end()
            return [turn async for turn in stream]

    turns = run(main())
    assert len(turns) >= 2
    assert [turn.start_sample for turn in turns] == sorted(turn.start_sample for turn in turns)
    assert all(turn.call == "call-1" and turn.role == "caller" and turn.end_s > turn.start_s for turn in turns)
    assert {turn.emotion.label for turn in turns if turn.emotion is not None} >= {"surprise"}
    assert set(turns[-1].ranks) >= {"arousal", "valence"}
    assert turns[-1].spoof is not None
    assert turns[0].latency_s is None  # no clock was running


def test_a_push_that_has_to_wait_does_not_hold_the_loop_up(run: Run) -> None:
    config = rtemo.Config(chain=("level",), engine=EngineOptions(ring_s=0.5))

    async def main() -> list[float]:
        late: list[float] = []
        async with rtemo.AsyncSession(config, mode="freewheel") as session:
            stop = asyncio.Event()
            beating = asyncio.create_task(heart_beats(stop, late))
            stream = session.stream()
            await stream.push(noise(60 * RATE_HZ))
            await stream.end()
            async for event in stream.events():
                end = event
            stop.set()
            await beating
        assert end.data.duration_s == pytest.approx(60.0)
        return late

    late = run(main())
    assert len(late) > 5
    assert np.median(late) < 0.02


def test_a_live_stream_that_is_pushed_too_fast_waits_and_loses_nothing(run: Run) -> None:
    async def main() -> Any:
        async with rtemo.AsyncSession(rtemo.Config(chain=("level",))) as session:
            slow = session.stream("at the pace of real time")

            async def microphone() -> None:
                for _ in range(50):
                    await slow.push(np.zeros(320, np.float32))
                    await asyncio.sleep(0.02)
                await slow.end()

            talking = asyncio.create_task(microphone())
            fast = session.stream("a file")
            await fast.push(noise(RATE_HZ))
            await fast.end()
            await talking
            return [event.data async for event in fast.events()][-1]

    end = run(main())
    assert end.duration_s == pytest.approx(1.0)
    assert end.counters.overrun_samples == end.counters.skipped_hops == 0


def test_a_push_that_is_cancelled_loses_and_doubles_nothing(run: Run) -> None:
    sound = noise(3 * RATE_HZ)
    heard: list[np.ndarray] = []
    config = rtemo.Config(chain=("level",), engine=EngineOptions(ring_s=0.3))

    def tap(call: str, channel: str, start_sample: int, hop: np.ndarray) -> None:
        if call == "cancelled":
            heard.append(hop)

    async def main() -> None:
        session = rtemo.AsyncSession(config, mode="freewheel", on_audio=tap)
        async with session:
            blocker = session.stream("gets nothing more")  # so that the other has to wait
            await blocker.push(sound[:160])
            stream = session.stream("cancelled")
            first, *others = np.array_split(sound, 3)
            pushing = asyncio.create_task(stream.push(first))
            await asyncio.sleep(0.02)
            assert pushing.cancel()
            await asyncio.wait({pushing})
            await blocker.end()
            for piece in others:
                await stream.push(piece)
            await stream.end()
            async for _ in stream.events():
                pass

    run(main())
    assert np.array_equal(np.concatenate(heard)[: len(sound)], sound)


def test_a_loop_over_turns_or_events_goes_on_after_a_step_that_was_cancelled(run: Run) -> None:
    async def main() -> tuple[int, list[str]]:
        async with rtemo.AsyncSession(TIMING) as session:
            stream = session.stream("call-1", sample_rate_hz=8_000)
            turns, events, timeouts = stream.turns(), stream.events(), 0
            for loop in (turns, events, turns):
                try:
                    while True:
                        await asyncio.wait_for(anext(loop), 0.1)
                except TimeoutError:
                    timeouts += 1
            await stream.push(caller()[: 4 * 8_000])
            await stream.end()
            kinds = [event.kind async for event in events]
            assert [turn async for turn in turns]
            return timeouts, kinds

    timeouts, kinds = run(main())
    assert timeouts == 3
    assert kinds.count("speech_start") == kinds.count("speech_end") > 0
    assert kinds[-1] == "stream_end"


def test_an_event_is_with_a_waiting_loop_at_once_and_not_at_its_next_look(run: Run) -> None:
    config = rtemo.Config(chain=("level",), engine=EngineOptions(health_interval_s=1_000.0))

    async def main() -> list[float]:
        waits: list[float] = []
        async with rtemo.AsyncSession(config) as session:
            for number in range(8):
                stream = session.stream(f"call-{number}")
                opened = asyncio.create_task(anext(stream.events()))
                await asyncio.sleep(0.03)
                event = await opened
                waits.append(time.time() - event.emit_ns / 1e9)
                ended = asyncio.create_task(anext(aiter_from(stream.events(), "stream_end")))
                await asyncio.sleep(0.03)
                await stream.end()
                event = await ended
                waits[-1] = time.time() - event.emit_ns / 1e9
        return waits

    assert np.median(run(main())) < 0.02  # it would look only every 250 ms


async def aiter_from(events: Any, kind: str) -> Any:
    async for event in events:
        if event.kind == kind:
            yield event


def test_two_loops_in_two_threads_share_a_session() -> None:
    async def use(session: rtemo.AsyncSession, call: str, found: dict[str, int]) -> None:
        stream = session.stream(call, sample_rate_hz=8_000)
        sound = caller()[: 4 * 8_000]
        for at in range(0, len(sound), 4_000):
            await stream.push(sound[at : at + 4_000])
        await stream.end()
        found[call] = len([turn async for turn in stream])

    async def main() -> dict[str, int]:
        found: dict[str, int] = {}
        async with rtemo.AsyncSession(TIMING) as session:
            other = threading.Thread(target=lambda: asyncio.run(use(session, "other", found)))
            other.start()
            await use(session, "own", found)
            await asyncio.to_thread(other.join)
        return found

    found = asyncio.run(main())
    assert found["own"] == found["other"] > 0


def test_a_start_that_is_cancelled_leaves_nothing_running(run: Run) -> None:
    async def main() -> None:
        session = rtemo.AsyncSession(TIMING)
        starting = asyncio.create_task(session.start())
        await asyncio.sleep(0.01)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting

    run(main())  # no thread may be left: see conftest


def test_leaving_a_session_ends_every_loop(run: Run) -> None:
    async def main() -> int:
        session = rtemo.AsyncSession(TIMING)
        await session.start()
        stream = session.stream()
        loops = [asyncio.create_task(drain(stream.turns())), asyncio.create_task(drain(stream.events()))]
        await asyncio.sleep(0.05)
        await session.stop()
        await asyncio.wait_for(asyncio.gather(*loops), 2.0)
        await session.stop()
        return len(loops)

    async def drain(loop: Any) -> None:
        async for _ in loop:
            pass

    assert run(main()) == 2


def test_bad_audio_is_refused_in_one_line_and_the_stream_goes_on(run: Run) -> None:
    async def main() -> float:
        async with rtemo.AsyncSession(rtemo.Config(chain=("level",)), mode="freewheel") as session:
            stream = session.stream()
            with pytest.raises(AudioInputError, match=r"got audio of shape \(2, 8\), expected \[k\]"):
                await stream.push(np.zeros((2, 8), np.float32))
            await stream.push((noise(RATE_HZ) * 32767).astype(np.int16).tobytes())
            await stream.end()
            await stream.end()
            with pytest.raises(AudioInputError, match="was ended before; open a new stream"):
                await stream.push(b"")
            return [event.data async for event in stream.events()][-1].duration_s

    assert run(main()) == pytest.approx(1.0)


def test_a_chain_that_cannot_be_opened_says_so_when_the_session_starts() -> None:
    async def main() -> None:
        async with rtemo.AsyncSession(
            rtemo.Config(chain=("level", "vad"), plugins={"vad": {"start_probability": 0.1}})
        ):
            pass

    with pytest.raises(ConfigError):
        asyncio.run(main())
