"""Sizes: what so many calls take, from the costs of one."""

from typing import NamedTuple

from bench.capacity.plan.measured import HOP_S, Measured

PACKET_S = 0.02
FRAME_BYTES = 14 + 4 + 20 + 32  # Ethernet with its check sum, IPv4, TCP with time stamps
GBIT = 1e9


class Assumed(NamedTuple):
    """What is not measured."""

    calls: float = 1e6
    streams_per_call: int = 2
    cores_per_node: int = 64
    free: float = 0.25
    """Share of the workers' room that is kept free; `python -m bench.capacity.cell --sweep` picks it."""
    front_busy: float = 0.5
    """Share of a processor that a front may take: it is one process."""
    proxy_busy: float = 0.5
    calls_per_cell: float = 10_000.0
    worker_load: float = 0.7
    """`workers.max_load`."""
    price: float = 0.04
    """Of a core for an hour."""


class ChainSize(NamedTuple):
    """What a chain takes, for all calls together.

    Attributes:
        streams_per_core: That the workers' cores are to carry at `worker_load`, by cost.
        worker_cores: With what is kept free.
        core_hours: For an hour of a call, with fronts and proxies.
    """

    streams_per_core: float
    worker_cores: float
    front_cores: float
    proxy_cores: float
    nodes: float
    memory_gib: float
    core_hours: float
    price: float


def front_cores(measured: Measured, assumed: Assumed) -> float:
    """Tell how many processors fronts would keep busy all the time."""
    streams = assumed.calls * assumed.streams_per_call
    return streams * (measured.packet_us / PACKET_S + measured.event_us * measured.events_per_s) / 1e6


def calls_per_front(measured: Measured, assumed: Assumed) -> float:
    """Tell how many calls one front carries at `front_busy`."""
    return assumed.front_busy * assumed.calls / front_cores(measured, assumed)


def gbit_per_s(measured: Measured, assumed: Assumed) -> tuple[float, float]:
    """Tell what goes in as audio, and out as events to one subscriber of everything, in Gbit/s."""
    streams = assumed.calls * assumed.streams_per_call
    audio = streams / PACKET_S * (measured.packet_bytes + FRAME_BYTES)
    events = streams * measured.events_per_s * (measured.event_bytes + FRAME_BYTES)
    return audio * 8 / GBIT, events * 8 / GBIT


def chain_size(name: str, measured: Measured, assumed: Assumed, streams_per_core: float = 0.0) -> ChainSize:
    """Tell what one chain takes.

    Args:
        name: Of the chain.
        measured: Costs.
        assumed: The rest.
        streams_per_core: Live streams that were found to be carried, in place of what costs allow.
    """
    costs = measured.chains[name]
    streams = assumed.calls * assumed.streams_per_call
    by_cost = assumed.worker_load * HOP_S * 1e6 / (costs.tick_us + costs.lane_us)
    each = streams_per_core or by_cost
    worker_cores = streams / each / (1.0 - assumed.free)
    fronts = front_cores(measured, assumed) / assumed.front_busy
    proxies = streams * measured.events_per_s * measured.proxy_us / 1e6 / assumed.proxy_busy
    cores = worker_cores + fronts + proxies
    memory_mib = worker_cores * costs.process_mib + streams * costs.stream_mib
    core_hours = cores / assumed.calls
    return ChainSize(
        streams_per_core=each,
        worker_cores=worker_cores,
        front_cores=fronts,
        proxy_cores=proxies,
        nodes=cores / assumed.cores_per_node,
        memory_gib=memory_mib / 1024.0,
        core_hours=core_hours,
        price=core_hours * assumed.price,
    )
