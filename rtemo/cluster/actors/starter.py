"""ActorStarter: has Ray choose a machine for every worker, and start it there."""

import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import ray

from rtemo.api import ConfigError
from rtemo.api.trouble import first_line
from rtemo.cluster.actors.hold import ActorHold
from rtemo.cluster.actors.keeper_actor import KeeperActor
from rtemo.cluster.messages import Begin
from rtemo.cluster.remote_worker import RemoteWorker
from rtemo.cluster.starter import Place, Seat
from rtemo.config.workers import WorkersOptions
from rtemo.io.curve import generate_keys, load_public_key
from rtemo.processors import count_processors

_MEND = "start one with `ray start --head --include-dashboard=false`, or use --cluster local"
_CONNECT_S = 3.0
_STORE_BYTES = 80_000_000  # the least that Ray takes; nothing is put there


class ActorStarter:
    """Starts every worker through an actor of its own, spread over the nodes that have what a worker wants.

    Where a node dies its workers are started again on others. The actors end with this program.

    Args:
        options: Which cluster, and what a worker wants of its node.
    """

    def __init__(self, options: WorkersOptions) -> None:
        self._options = options
        self._key_file: Path
        self._public_key = ""
        self._is_ours = False

    def open(self, folder: Path, workers: int) -> None:
        """Join the cluster, or start one on this machine alone, reached from nowhere else.

        Raises:
            ConfigError: There is no such cluster.
        """
        with _as_before():
            self._join(workers)
        public_file, self._key_file = generate_keys(folder, "front")
        self._public_key = load_public_key(public_file).decode()

    def processors_each(self, workers: int) -> float:
        """Give what a worker is given of its node, or, on this machine, its share."""
        if self._options.cluster == "local":
            return min(self._options.cpus, count_processors() / workers)
        return self._options.cpus

    def start(self, seat: Seat, begin: Callable[[Place], Begin]) -> RemoteWorker:
        """Ask Ray for an actor."""
        options = self._options
        actor = ray.remote(KeeperActor).options(
            num_cpus=options.cpus,
            num_gpus=options.gpus,
            resources=dict(options.resources),
            scheduling_strategy="SPREAD",
            max_restarts=0,  # whether a worker is started again the fleet decides
        )
        wants = {"CPU": options.cpus, "GPU": options.gpus, **options.resources}
        wanted = ", ".join(f"{name} {count:g}" for name, count in wants.items() if count)
        awaited = f"Ray to start worker {seat.number} on a node that has room for it ({wanted})"
        hold = ActorHold(actor.remote(self._public_key, version("rtemo")))
        return RemoteWorker(hold, begin, self._key_file, awaited)

    def close(self) -> None:
        """Let the actors go, and leave the cluster; may be called twice."""
        if self._is_ours:
            self._is_ours = False
            ray.shutdown()

    def _join(self, workers: int) -> None:
        if ray.is_initialized():
            return  # the program that embeds us has chosen
        where = self._options.cluster
        if where not in ("local", "auto"):
            _check(where)
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR, "configure_logging": False}
        try:
            if where == "local":
                # One more, for a worker that takes the place of another; as processes, they may be more than there are.
                cpus = max(count_processors(), -(-(workers + 1) * self._options.cpus // 1))
                ray.init(
                    address="local",
                    num_cpus=int(cpus),
                    object_store_memory=_STORE_BYTES,
                    include_dashboard=False,
                    **quiet,
                )
            else:
                ray.init(address=where, **quiet)
        except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
            raise ConfigError(f"there is no Ray cluster at {where!r}: {first_line(error)}", _MEND) from None
        self._is_ours = True


def _check(where: str) -> None:
    """Look whether anything listens there, which Ray would wait for for minutes.

    Raises:
        ConfigError: It is no address, or nothing does.
    """
    host, _, port = where.rpartition(":")
    if not (host and port.isdecimal() and int(port) < 65_536) or "/" in where:
        raise ConfigError(f"workers.cluster is {where!r}", "give local, auto, or HOST:PORT of the first node")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
    except OSError as error:
        raise ConfigError(f"there is no Ray cluster at {where!r}: {error.strerror or error}", _MEND) from None


@contextmanager
def _as_before() -> Iterator[None]:
    """Keep what Ray would have signals do from replacing what this program has chosen."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # not on the main thread, where Ray leaves them alone too
            for number, handler in before.items():
                signal.signal(number, handler)
