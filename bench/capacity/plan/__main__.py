"""What so many calls take, from what was measured: `python -m bench.capacity.plan`.

    python -m bench.capacity.plan --measure bench/baselines/plan.json    # some minutes; processor time, not the clock's
    python -m bench.capacity.plan --calls 1e6 --price 0.04               # from the newest file there

The live bound is read from docs/capacity.svg, which `rtemo bench capacity --svg` has written. Everything else that is
not in the file is an option. What is printed is Markdown, as it stands in docs/scale.md.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.capacity.plan.measured import ROOT, ChainCosts, Measured, carried_live, measure
from bench.capacity.plan.sizes import (
    PACKET_S,
    Assumed,
    ChainSize,
    calls_per_front,
    chain_size,
    front_cores,
    gbit_per_s,
)

BASELINE = ROOT / "bench" / "baselines" / "plan.json"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, or print a plan."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", type=Path, metavar="FILE", help="measure, and write the costs")
    parser.add_argument("--measured", type=Path, metavar="FILE", default=BASELINE)
    for name, default in Assumed()._asdict().items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    told = vars(parser.parse_args(arguments))
    file, measured_file = told.pop("measure"), told.pop("measured")
    if file is not None:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(measure())) + b"\n")
        return
    measured = msgspec.json.decode(measured_file.read_bytes(), type=Measured)
    print("\n".join(lines(measured, Assumed(**told), carried_live())))


def lines(measured: Measured, assumed: Assumed, live: tuple[int, int]) -> list[str]:
    """Put a plan into words.

    Args:
        measured: Costs.
        assumed: The rest.
        live: Live streams that were carried, and by how many processors.
    """
    by_live = chain_size("default", measured, assumed, live[0] / live[1])
    sizes = {
        f"`default`, as many live as {live[1]} processors carried ({live[0]})": by_live,
        "`default`, by its processor time": chain_size("default", measured, assumed),
        "`small`, by its processor time": chain_size("small", measured, assumed),
    }
    heads = ("chain", "streams a core", "cores of workers", "of fronts", "of proxies", "nodes", "memory")
    return [
        f"For {assumed.calls:,.0f} calls at once, from costs measured on {measured.date} ({measured.machine}):",
        "",
        *_table(("", "", ""), _traffic(measured, assumed)),
        "",
        *_table((*heads, "core-hours a call-hour", "price"), [_size(name, size) for name, size in sizes.items()]),
        "",
        *(_costs(name, costs) for name, costs in measured.chains.items()),
        f"{assumed.free:.0%} of the workers' room is kept free. A node has {assumed.cores_per_node} cores.",
        f"A core costs {assumed.price:g} an hour.",
    ]


def _traffic(measured: Measured, assumed: Assumed) -> list[tuple[str, ...]]:
    streams = assumed.calls * assumed.streams_per_call
    audio, events = gbit_per_s(measured, assumed)
    each, busy = calls_per_front(measured, assumed), front_cores(measured, assumed)
    fronts, cells = assumed.calls / each, assumed.calls / assumed.calls_per_cell
    packet, event = f"{measured.packet_us:g} µs a packet", f"{measured.event_us:g} µs an event"
    per_stream = f"{measured.events_per_s:g} a second and stream, {measured.event_bytes:.0f} bytes each"
    return [
        ("streams", f"{streams:,.0f}", f"{assumed.streams_per_call} a call"),
        ("packets", f"{streams / PACKET_S / 1e6:,.0f} million/s", f"of 20 ms, {measured.packet_bytes} bytes each"),
        ("events", f"{streams * measured.events_per_s / 1e6:,.1f} million/s", per_stream),
        ("audio in", f"{audio:,.0f} Gbit/s", f"{1e6 * audio / assumed.calls:,.0f} kbit/s a call"),
        ("events out", f"{events:,.0f} Gbit/s", "to each subscriber of everything"),
        ("fronts", f"{fronts:,.0f}", f"{each:,.0f} calls each, at {assumed.front_busy:.0%} of a processor"),
        ("their work", f"{busy:,.0f} processors", f"{packet}, {event}"),
        ("cells", f"{cells:,.0f}", f"of {assumed.calls_per_cell:,.0f} calls and {fronts / cells:,.0f} fronts"),
    ]


def _size(name: str, size: ChainSize) -> tuple[str, ...]:
    cores = (size.worker_cores, size.front_cores, size.proxy_cores, size.nodes)
    memory = f"{size.memory_gib / 1024:,.1f} TiB"
    price = f"{size.price:.5f}"
    return (
        name,
        f"{size.streams_per_core:.0f}",
        *(f"{one:,.0f}" for one in cores),
        memory,
        f"{size.core_hours:.4f}",
        price,
    )


def _costs(name: str, costs: ChainCosts) -> str:
    return (
        f"A stream of `{name}` takes {costs.tick_us:g} µs of a hop for its ticks and {costs.lane_us:g} µs beside them, "
        f"if nothing is left out, and {costs.stream_mib * 1024:.0f} KiB beyond the {costs.process_mib:.0f} MiB of a "
        "process."
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in (heads, ["---"] * len(heads), *rows)]


if __name__ == "__main__":
    main()
