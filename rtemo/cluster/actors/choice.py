"""Has Ray imported, once it is known what for: it reads its environment at that moment."""

import os

from rtemo.api import ConfigError
from rtemo.cluster.starter import Starter
from rtemo.config.workers import WorkersOptions
from rtemo.telemetry import TELEMETRY_OFF

_LOOPBACK = ("local", "127.", "localhost:", "[::1]:")
STAY_ON_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""What Ray calls it; otherwise it takes 127.0.0.1 for the machine's address in the network."""
IN_TIME = {"RAY_worker_niceness": "0"}
"""Ray's nodes would have all other programs go before workers, which are to be in time."""


def actor_starter(options: WorkersOptions) -> Starter:
    """Make what has Ray start workers.

    Args:
        options: Which cluster, and what a worker wants of its node.

    Raises:
        ConfigError: Ray is not installed.
    """
    os.environ.update(TELEMETRY_OFF)  # the program may have changed it since
    if options.cluster.startswith(_LOOPBACK):
        os.environ.update({**STAY_ON_LOOPBACK, **IN_TIME})
    try:
        from rtemo.cluster.actors.starter import ActorStarter
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ConfigError("workers on other machines need Ray", "run: pip install 'rtemo[cluster]'") from None
    return ActorStarter(options)
