"""A cell of fronts, workers and nodes, from event to event: `python -m bench.capacity.cell`.

    python -m bench.capacity.cell --free 0.3 --days 4
    python -m bench.capacity.cell --sweep 0.05,0.1,0.15,0.2,0.25,0.3,0.4 --days 4 --faster 25

Calls come at random with the day and last log-normally long. Workers, nodes and fronts die and come back, and all
workers are replaced once a day. Calls are placed, and rooms measured, by `rtemo.cluster.calls`, `placing` and `room`.

With `--sweep` the cell keeps its size and gets so many calls that the given share of it is free at the busiest hour;
the least share that keeps both bounds (`--most-refused`, `--most-s`) is named. `--faster 25` has everything die 25
times as often and divides what that costs by 25, so that some days show rare failures; failures that meet, which most
of the longest are then, are told too dear. The same options print the same figures.
"""

import argparse
import time
from collections.abc import Sequence

import msgspec

from bench.capacity.cell.outcome import CAUSES, Outcome
from bench.capacity.cell.settings import Settings
from bench.capacity.cell.simulation import Simulation

_NO_OPTIONS = ("options", "hours", "is_flat", "peak_calls")
_ONE = (8, 7, 14, 26, 19, 7, 7)
_SWEEP = (6, 18, 10, 12, 26, 19, 7, 7)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for field in msgspec.structs.fields(Settings):
        if field.name not in _NO_OPTIONS:
            parser.add_argument(f"--{field.name.replace('_', '-')}", type=field.type, default=field.default)
    parser.add_argument("--days", type=float, default=1.0)
    parser.add_argument("--flat", action="store_true", help="the busiest hour all day")
    parser.add_argument("--free", type=float, default=0.25, help="share of the cell that is free at the busiest hour")
    parser.add_argument("--sweep", help="several shares, as 0.1,0.2")
    parser.add_argument("--most-refused", type=float, default=1e-4, help="share of all calls")
    parser.add_argument("--most-s", type=float, default=3.0, help="until 99 of 100 failures are over")
    told = vars(parser.parse_args(arguments))
    days, flat, free, sweep = (told.pop(name) for name in ("days", "flat", "free", "sweep"))
    most_refused, most_s = told.pop("most_refused"), told.pop("most_s")
    try:
        settings = Settings(hours=24.0 * days, is_flat=flat, **told)
    except ValueError as error:
        parser.error(str(error))
    often = "" if settings.faster == 1.0 else f", everything dies {settings.faster:g} times as often"
    print(
        f"{settings.fronts} fronts, {settings.workers} workers on {settings.nodes} nodes, room for "
        f"{settings.capacity_calls:.0f} calls; {days:g} days, seed {settings.seed}{often}"
    )
    if sweep:
        print_sweep(settings, sorted(float(part) for part in sweep.split(",")), most_refused, most_s)
    else:
        print_one(with_free(settings, free))


def with_free(settings: Settings, share: float) -> Settings:
    """Give a cell so many calls that a share of it is free at the busiest hour."""
    return msgspec.structs.replace(settings, peak_calls=settings.capacity_calls * (1.0 - share))


def print_one(settings: Settings) -> None:
    """Run once, and print everything."""
    begin_s = time.monotonic()
    outcome = Simulation(settings).run()
    print(
        f"{outcome.arrivals} calls came: {outcome.ended} ended, {outcome.refused} refused "
        f"({outcome.refused_in_trouble} while something was down), {outcome.lost} lost, {outcome.live} live"
    )
    print(f"{outcome.most_live} live at most; {outcome.call_s / 3600.0:.0f} hours of calls")
    print(f"refused {outcome.refused_share(settings.faster):.1e} of all")
    print(_line(_ONE, "", "times", "calls cut off", "audio lost, s/10^6 h", "over after, s: p50", "p99", "worst"))
    lost_s = outcome.lost_s_per_million_hours(settings.faster)
    for cause in CAUSES:
        times = sum(one.cause == cause for one in outcome.incidents)
        over = _quantiles(outcome.recovery_s((cause,)))
        print(_line(_ONE, cause, times, outcome.cut_off[cause], f"{lost_s[cause]:.0f}", *over))
    print(_line(_ONE, "all", "", sum(outcome.cut_off.values()), f"{sum(lost_s.values()):.0f}"))
    print(f"took {time.monotonic() - begin_s:.0f} s")


def print_sweep(settings: Settings, shares: Sequence[float], most_refused: float, most_s: float) -> None:
    """Run once for each share that is free, print a line for each, and name the least that keeps the bounds."""
    heads = ("free", "calls at the peak", "refused", "lost calls", "audio lost, s/10^6 h", "over after, s: p50")
    print(_line(_SWEEP, *heads, "p99", "worst"))
    kept = []
    for share in shares:
        one = with_free(settings, share)
        outcome = Simulation(one).run()
        refused = f"{outcome.refused_share(one.faster):.1e}"
        lost_s = f"{sum(outcome.lost_s_per_million_hours(one.faster).values()):.0f}"
        over = _quantiles(outcome.recovery_s())
        print(_line(_SWEEP, f"{share:.2f}", f"{one.peak_calls:.0f}", refused, outcome.lost, lost_s, *over), flush=True)
        if keeps(outcome, one, most_refused, most_s):
            kept.append(share)
    bounds = f"at most {most_refused:g} of the calls refused, 99 of 100 failures over within {most_s:g} s"
    print(f"least free share with {bounds}: " + (f"{min(kept):.2f}" if kept else "none of these"))


def keeps(outcome: Outcome, settings: Settings, most_refused: float, most_s: float) -> bool:
    """Tell whether a run kept its bounds."""
    over = outcome.recovery_s()
    slow = sum(one > most_s for one in over)
    return outcome.refused_share(settings.faster) <= most_refused and slow <= 0.01 * len(over)


def _line(widths: Sequence[int], *cells: object) -> str:
    return "".join(f"{cell!s:>{width}}" for cell, width in zip(cells, widths, strict=False))


def _quantiles(ordered: Sequence[float]) -> list[str]:
    """Give median, the value that 99 of 100 keep, and the largest."""
    if not ordered:
        return ["-"] * 3
    return [f"{ordered[min(len(ordered) - 1, int(share * len(ordered)))]:.1f}" for share in (0.5, 0.99, 1.0)]


if __name__ == "__main__":
    main()
