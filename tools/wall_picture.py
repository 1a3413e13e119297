"""Take the pictures of the wall that the docs show, or measure what it costs a browser: `python tools/wall_picture.py`.

The example call goes through the chain, the other calls are made up; nobody spoke them. Needs the extras web and test,
and Chromium.
"""

import argparse
import contextlib
import math
import os
import random
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from PIL import Image
from websockets.sync.client import connect

import rtemo
from rtemo.api import Counters, Event, Health, Level, Rank, SpeechEnd, SpeechStart, Spoof, StreamStart, Transcript
from rtemo.io.sources.file import FileSource
from tests.fakes import web_events as made
from tests.fakes.browser import Browser

ROOT = Path(__file__).parents[1]
MOODS = (
    *(("angry", 0.7, -0.6), ("sad", -0.4, -0.6), ("neutral", 0.0, 0.0), ("calm", -0.5, 0.4), ("happy", 0.5, 0.7)),
    *(("fear", 0.6, -0.6), ("unsure", 0.2, -0.5), ("surprise", 0.6, 0.2), ("disgust", 0.2, -0.6)),
)
WORDS = (
    "this is the third time I call about the same invoice",
    "I have been waiting since nine o'clock",
    "oh that is wonderful, thank you so much",
    "could you spell that for me, please",
    "no, I never ordered that",
    "well, I am not sure what to do now",
    "my account is blocked again",
)
EXAMPLE_UNTIL_S = 34.0
SIZES = ((1440, 860), (768, 1024), (390, 844))
_SLICE = 5000
_FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"


def example() -> list[Event]:
    """What the chain says of the example call, up to the middle of it."""
    source = FileSource(str(ROOT / "examples/call.flac"), "example", roles=("caller", "user", "speaker"))
    with rtemo.Session(sources=[source], mode="freewheel") as session:
        events = list(session.events())
    return [event for event in events if event.call and event.end_s <= EXAMPLE_UNTIL_S]


def invented(count: int, dice: random.Random) -> list[Event]:
    """Calls that nobody spoke, each with two minutes of a trend."""
    events, urgency = [], {}
    for index in range(count):
        call = f"call-{4000 + 7 * index}"
        label, arousal, valence = dice.choice(MOODS)
        at_s, phase = dice.uniform(130, 900), dice.uniform(0, 6)
        events.append(made.event(call, StreamStart(role=dice.choice(("customer", "caller", "patient"))), 0.0))
        for step in range(60):
            t_s, share = at_s - (60 - step) * 2.2, 0.4 + 0.6 * step / 60
            now = max(-1.0, min(1.0, arousal * share + 0.18 * math.sin(step / 5 + phase) + dice.gauss(0, 0.05)))
            mood = max(-1.0, min(1.0, valence * share + 0.15 * math.cos(step / 7 + phase) + dice.gauss(0, 0.04)))
            events.append(made.event(call, Rank(attribute="arousal", score=round(now * 1.6, 2), spread=0.35), t_s))
            sure = dice.uniform(0.2, 0.3) if label == "unsure" else dice.uniform(0.5, 0.93)
            events.append(made.event(call, made.emotion(label, now, mood, sure), t_s))
        urgency[call] = arousal - valence + dice.uniform(-0.4, 0.4)
        events += [
            made.event(call, Level(rms_dbfs=dice.uniform(-40, -18), peak_dbfs=-5.0, clipped_ratio=0.0), at_s),
            made.event(call, SpeechEnd(speech_s=at_s * dice.uniform(0.2, 0.6)), at_s),
            made.event(call, Spoof(score=1.0, verdict=dice.choice(("unknown", "bona_fide", "bona_fide"))), at_s),
        ]
        if index % 4:
            events.append(made.event(call, Transcript(text=dice.choice(WORDS)), at_s))
        if index % 2:
            events.append(made.event(call, SpeechStart(), at_s))
        if index % 9 == 3:
            events.append(made.trouble(call))
    first = dict(sorted(urgency.items(), key=lambda item: -item[1])[:10])
    events.append(made.board(**first, example=sorted(first.values())[-3] - 0.01))
    events += [made.alert(call, rule) for call, rule in zip(first, ("heated", "mood falls"), strict=False)]
    health = {"ticks": 1, "load": 0.41, "tick_p50_us": 1.0, "tick_p99_us": 2.0, "late_p99_us": 1.0}
    events.append(made.event("", Health(streams=count + 3, capacity=512, counters=Counters(), **health)))
    return events


def pictures(folder: Path) -> None:
    """Write the pictures: the wall at a width each of a desk, a tablet and a phone, in the dark and in the light."""
    served = made.Served()
    try:
        served.say(*example(), *invented(60, random.Random(12)))
        for is_dark in (True, False):
            for width, height in SIZES:
                tone = "" if is_dark else "-light"
                of_width = "" if width == SIZES[0][0] else f"-{width}"
                _picture(served.url + "/", folder / f"wall{of_width}{tone}.png", width, height, is_dark)
    finally:
        served.close()


def _picture(url: str, out: Path, width: int, height: int, is_dark: bool) -> None:
    browser = Browser(url, width, height, is_dark)
    try:
        browser.wait_for("document.querySelector('#facts')?.innerText.includes('61')", 60)
        browser.tell("document.querySelector('#find').blur(), 1")
        if width == SIZES[0][0]:  # elsewhere what is known of one call would hide the list
            browser.tell("document.querySelector('[data-call=example]').click(), 1")
        time.sleep(2.0)
        browser.picture(out)
    finally:
        browser.close()
    Image.open(out).convert("RGB").quantize(256, kmeans=4, dither=Image.Dither.NONE).save(out, optimize=True)
    print(f"{out}: {out.stat().st_size / 1000:.0f} kB")


def cost(count: int, clients: int, duration_s: float) -> None:
    """Print what the page and the server take while all of many calls change four times a second.

    Besides the browser so many clients follow, and one that reads nothing.
    """
    dice = random.Random(1)
    served = made.Served(requests_per_s=1000.0)
    events = invented(count, dice)
    for begin in range(0, len(events), _SLICE):  # more at once than the link holds would be dropped
        served.say(*events[begin : begin + _SLICE])
        time.sleep(0.2)
    browser = Browser(served.url + "/", 1440, 860)
    url = served.url.replace("http://", "ws://") + "/v1/ws"
    gaps_s: list[float] = []
    readers = [threading.Thread(target=_read, args=(url + "?view=calls", gaps_s), daemon=True) for _ in range(clients)]
    try:
        browser.wait_for(f"document.querySelector('#facts')?.innerText.includes('{count}')", 60)
        paint_ms = float(browser.tell(_FIRST_PAINT) or "nan")
        browser.do("Performance.enable")
        with connect(url, max_queue=1, max_size=1 << 26, close_timeout=0.1):  # reads nothing
            for reader in readers:
                reader.start()
            before_s, served_s = _busy_s(browser), _cpu_s(served.process_id)
            start_s, ticks = time.monotonic(), 0
            while time.monotonic() - start_s < duration_s:
                ticks += 1
                for index in range(count):
                    label, arousal, valence = dice.choice(MOODS)
                    now = made.emotion(label, arousal + dice.gauss(0, 0.05), valence, 0.6)
                    served.say(made.event(f"call-{4000 + 7 * index}", now, 1000.0 + ticks / 4))
                time.sleep(max(0.0, start_s + ticks / 4 - time.monotonic()))
            took_s = time.monotonic() - start_s
            busy_s, served_s = _busy_s(browser) - before_s, _cpu_s(served.process_id) - served_s
        rows = browser.tell("document.querySelectorAll('.row').length")
        print(f"{count} calls, {ticks / took_s:.1f} changes of each per s, {clients} clients and one stalled")
        print(f"paint   the first one {paint_ms:.0f} ms after the page was asked for")
        print(f"page    {busy_s / took_s:.0%} of a core, {rows} rows drawn")
        print(f"server  {served_s / took_s:.0%} of a core")
        if gaps_s:
            print(f"client  an update every {sorted(gaps_s)[len(gaps_s) // 2]:.2f} s, {max(gaps_s):.2f} s at most")
    finally:
        browser.close()
        served.close()


def _read(url: str, gaps_s: list[float]) -> None:
    with contextlib.suppress(Exception), connect(url, max_size=1 << 26, close_timeout=0.1) as client:
        client.recv(20)
        heard_s = time.monotonic()
        while client.recv(20):
            gaps_s.append(time.monotonic() - heard_s)
            heard_s = time.monotonic()


def _cpu_s(process_id: int) -> float:
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _busy_s(browser: Browser) -> float:
    """Time that the page's main thread has worked."""
    found = {item["name"]: item["value"] for item in browser.do("Performance.getMetrics")["metrics"]}
    return float(found["TaskDuration"])


def main() -> None:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="folder of the pictures")
    parser.add_argument("--cost", type=int, metavar="CALLS", help="measure instead, with so many calls")
    parser.add_argument("--clients", type=int, default=20, help="that follow besides the browser while it is measured")
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    if given.cost:
        cost(given.cost, given.clients, given.seconds)
    else:
        pictures(given.out)


if __name__ == "__main__":
    main()
