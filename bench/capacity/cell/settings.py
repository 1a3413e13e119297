"""Settings: how large a cell is, what comes to it, and what dies there how often."""

import msgspec

from rtemo.config.workers import WorkersOptions


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Of a cell. What is not measured is an assumption, and an option of the command."""

    hours: float = 24.0
    peak_calls: float = 1_000.0
    """Calls that are live at once at the busiest hour, on average."""
    call_s: float = 300.0
    """Mean length of a call."""
    call_spread: float = 1.0
    """Standard deviation of the logarithm of the length."""
    is_flat: bool = False
    """Whether the busiest hour lasts all day."""
    streams_per_call: int = 2
    fronts: int = 8
    nodes: int = 16
    workers_per_node: int = 4
    streams_per_worker: int = 64
    """Streams at which the load of a worker is `workers.max_load`."""
    first_wait_s: float = 2.0
    """How long an opening waits for room, as in `rtemo.cluster.desk`."""
    retry_s: float = 0.25
    """First wait of a client that opens a call again; it doubles up to `retry_most_s`, as in `io.sender_stream`."""
    retry_most_s: float = 1.0
    reopen_s: float = 0.2
    """From the word that a stream has ended to its first packet at another worker."""
    worker_days: float = 30.0
    """Mean time between two deaths of one worker."""
    hang_share: float = 0.2
    """Part of them that is seen by silence alone."""
    node_days: float = 180.0
    front_days: float = 30.0
    start_s: float = 3.0
    """From the start of a worker to its first call."""
    node_back_s: float = 900.0
    front_back_s: float = 5.0
    updates_per_day: float = 1.0
    """Rolling updates: all workers of all fronts, one after the other."""
    silence_s: float = 5.0
    """Mean wait until nobody speaks in a call that is to move."""
    move_gap_s: float = 0.2
    """Audio lost by a call that moves at silence."""
    faster: float = 1.0
    """How many times as often everything dies, so that a day shows as many failures as many days."""
    options: WorkersOptions = WorkersOptions()
    seed: int = 1

    def __post_init__(self) -> None:
        if self.fronts > self.nodes:
            raise ValueError(f"there are {self.fronts} fronts and {self.nodes} nodes: some would have no worker")

    @property
    def workers(self) -> int:
        """Workers of the cell."""
        return self.nodes * self.workers_per_node

    @property
    def capacity_calls(self) -> float:
        """Calls at which every worker is full."""
        return self.workers * self.streams_per_worker / self.streams_per_call
