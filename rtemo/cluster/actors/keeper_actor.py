"""KeeperActor: a keeper as an actor, on the machine that Ray has chosen."""

from importlib.metadata import version
from typing import Any

import msgspec
from ray.util import get_node_ip_address

from rtemo.api import RtemoError
from rtemo.cluster.keeper import Keeper


class KeeperActor:
    """Starts one worker on its machine and tells how it ends.

    Args:
        front_key: Public key of the front.
        release: Of rtemo, at the front.
    """

    def __init__(self, front_key: str, release: str) -> None:
        self._keeper = Keeper(front_key)
        self._release = release

    def start(self) -> dict[str, Any]:
        """Start the worker; gives a `Kept` as plain values, or what is wrong and what to do."""
        host, release = get_node_ip_address(), version("rtemo")
        if release != self._release:
            problem = f"the node {host} has rtemo {release}, the front {self._release}"
            return {"problem": problem, "mend": "install the same release everywhere"}
        try:
            return msgspec.to_builtins(self._keeper.start(host))  # type: ignore[no-any-return]
        except RtemoError as error:
            return {"problem": error.problem, "mend": error.mend}

    def end(self) -> str:
        """Tell how the worker ended, or end it."""
        return self._keeper.end()
