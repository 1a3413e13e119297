"""What a rationale costs: `python -m bench.speed.rationale`.

A turn's rationale from its report on: deviations, words, text and trace check, in each language, without transcript and
with one; and a hop of the tally for many streams. All of it runs on the driver thread.
"""

import time

import numpy as np

from rtemo.api import EMOTIONS, Cue
from rtemo.cues.baseline import UNITS, Baseline
from rtemo.cues.language import LANGUAGES
from rtemo.cues.reading import read
from rtemo.cues.trace import check, holds
from rtemo.cues.turn import Turn, words_of
from rtemo.cues.writer import Writer
from rtemo_plugins.rationale.tally import BINS, REPORT, TALLY, count

_ROUNDS = 200
_SAID = "well that is just great thank you very much I have been waiting here for an hour and nobody answers"
_STREAMS = 64


def cues(random: np.random.Generator) -> tuple[Cue, ...]:
    """A record of which most cues stand out."""
    return tuple(
        Cue(
            name=name,
            value=100.0 * float(random.random()),
            unit=unit,
            z=float(random.normal(0, 2)),
            change=float(random.normal(0, 2)),
            reference="self",
            start_sample=0,
            end_sample=16_000,
        )
        for name, unit in UNITS.items()
    )


def main() -> None:
    """Print the table."""
    random = np.random.default_rng(0)
    shares = {name: 1 / len(EMOTIONS) for name in EMOTIONS}
    print("| language | without words, ms p50 / p99 | with 20 words, ms p50 / p99 |\n|---|---|---|")
    for code in LANGUAGES:
        writer, row = Writer(code), [code]
        for said in ("", _SAID):
            took = []
            for _ in range(_ROUNDS):
                record = cues(random)
                start_ns = time.perf_counter_ns()
                baseline = Baseline()
                for cue in record:
                    baseline.compare(cue.name, abs(cue.value) + 1)
                words = words_of(said, (), 0, 16_000)
                turn = Turn(0, 16_000, record, "angry", shares, words, read(words, code))
                is_held = holds(check(writer.write(turn), turn, code))
                took.append((time.perf_counter_ns() - start_ns) / 1e6)
                assert is_held
            row.append(f"{np.percentile(took, 50):.2f} / {np.percentile(took, 99):.2f}")
        print(f"| {' | '.join(row)} |")
    tallies, histograms = np.zeros(_STREAMS, TALLY), np.zeros((_STREAMS, BINS), np.int32)
    reports = np.zeros(_STREAMS, REPORT)
    yes, no = np.ones(_STREAMS, np.bool_), np.zeros(_STREAMS, np.bool_)
    position = np.zeros(_STREAMS, np.int64)
    level, pitch = np.full(_STREAMS, -20, np.float32), np.full(_STREAMS, 150, np.float32)
    took = []
    for _ in range(2000):
        start_ns = time.perf_counter_ns()
        count(yes, yes, no, position, 160, level, pitch, 15, 50, tallies, histograms, reports)
        took.append((time.perf_counter_ns() - start_ns) / 1e3)
        position += 160
    middle, late = np.percentile(took[100:], [50, 99])
    print(f"\na hop of {_STREAMS} streams that speak: {middle:.1f} us, p99 {late:.1f} us")


if __name__ == "__main__":
    main()
