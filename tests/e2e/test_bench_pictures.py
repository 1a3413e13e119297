"""Pictures of measurements in a real browser: what fits, and what can be read in the dark and in the light."""

import pytest

browsers = pytest.importorskip("tests.fakes.browser")

from rtemo.cli.bench.capacity_search import Capacity, trial_of  # noqa: E402
from rtemo.cli.bench.distribution import distribution  # noqa: E402
from rtemo.cli.bench.live import LiveCost  # noqa: E402
from rtemo.cli.bench.pictures import capacity_picture, latency_picture  # noqa: E402
from rtemo.engine.stats import Histogram  # noqa: E402

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(browsers.PATH is None, reason="there is no chromium here: apt-get install chromium"),
]

_NOTES = ("64 processors of a maker with a long name, load 12.5 before; rtemo 10.11.12, Python 3.11.17, Linux x86_64",)
_OUTSIDE = """[...document.querySelectorAll('text')].filter(text => {
  const box = text.getBoundingClientRect(), all = document.documentElement.getBoundingClientRect()
  return box.left < all.left || box.right > all.right || box.top < all.top || box.bottom > all.bottom
}).map(text => text.textContent)"""
_CONTRASTS = """(() => {
  const light = element => getComputedStyle(element).fill.match(/[0-9]+/g).slice(0, 3).map(value => {
    const share = value / 255
    return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  }).reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0)
  const ground = light(document.querySelector('.ground'))
  return [...document.querySelectorAll('text')].map(text => {
    const [dark, bright] = [light(text), ground].sort((a, b) => a - b)
    return (bright + 0.05) / (dark + 0.05)
  })
})()"""


def live(streams, tick_us):
    """A run that nobody made, with a tail of a hundred times its median."""
    ticks, ages = Histogram(), Histogram()
    for index in range(10_000):
        ticks.add(round(tick_us * 1000 * (100 if index % 997 == 0 else 1 + index % 7 / 3)))
        ages.add(round(tick_us * 1000 * (2 + index % 90)))
    return LiveCost(
        streams=streams, seconds=100.0, hop_us=10_000.0, tick=distribution(ticks), late=distribution(Histogram()),
        event_age=distribution(ages), events={}, xruns=11 * streams, skipped_hops=0, concealed_hops=0,
        overrun_samples=0, dropped_events=0, given_up=(), turns_ended=0, turns_told_by={}, cpu_cores=0.5,
    )  # fmt: skip


def pictures():
    """Pictures of one number of streams, of more than are drawn, and curves of one trial and of many."""
    costs = [live(streams, 300 + 20 * streams) for streams in (1, 16, 64, 256, 1024)]
    trials = tuple(trial_of(cost) for cost in costs)
    most = Capacity(streams=256, is_most=True, hop_us=10_000.0, curve=trials)
    none = Capacity(streams=0, is_most=True, hop_us=10_000.0, curve=trials[-1:])
    return {
        "one stream": latency_picture(costs[:1], _NOTES),
        "many streams": latency_picture(costs, _NOTES),
        "a curve": capacity_picture(most, _NOTES),
        "a point": capacity_picture(none, _NOTES),
    }


@pytest.mark.parametrize("is_dark", [True, False])
def test_every_word_of_a_picture_is_within_it_and_stands_out_from_its_ground(tmp_path, is_dark):
    browser = browsers.Browser("about:blank", 860, 800, is_dark)
    grounds = set()
    try:
        for name, svg in pictures().items():
            path = tmp_path / f"{name}.svg"
            path.write_text(svg)
            browser.do("Page.navigate", url=path.as_uri())
            browser.wait_for(f"location.href === {path.as_uri()!r} && document.querySelectorAll('text').length > 10")
            assert browser.tell(_OUTSIDE) == [], name
            assert min(browser.tell(_CONTRASTS)) >= 4.5, name
            grounds.add(browser.tell("getComputedStyle(document.querySelector('.ground')).fill"))
        assert not browser.complaints
    finally:
        browser.close()
    assert grounds == {"rgb(21, 24, 41)" if is_dark else "rgb(255, 255, 255)"}
