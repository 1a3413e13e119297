"""ActorHold: the front's hold on a keeper that is an actor."""

import contextlib
from typing import Any

import msgspec
import ray
from ray.exceptions import ActorUnschedulableError, GetTimeoutError, RayActorError, RayError

from rtemo.api import RtemoError
from rtemo.api.trouble import first_line
from rtemo.cluster.keeper import Kept


class ActorHold:
    """Asks an actor, without waiting for longer than it is told.

    Args:
        actor: Handle of a `KeeperActor`.
    """

    def __init__(self, actor: Any) -> None:
        self._actor = actor
        self._start = actor.start.remote()

    def started(self, wait_s: float) -> Kept | None:
        """See `Hold.started`."""
        try:
            told = ray.get(self._start, timeout=wait_s)
        except GetTimeoutError:
            return None
        except ActorUnschedulableError as error:
            raise RtemoError("no node of the cluster can ever have a worker", first_line(error)) from None
        except RayError as error:
            raise RtemoError(
                f"a worker could not be started by Ray: {first_line(error)}",
                "see that all nodes run the same Python, Ray and rtemo",
            ) from None
        if "problem" in told:
            raise RtemoError(told["problem"], told["mend"])
        return msgspec.convert(told, Kept)

    def ending(self, wait_s: float) -> str:
        """See `Hold.ending`."""
        try:
            return str(ray.get(self._actor.end.remote(), timeout=wait_s))
        except GetTimeoutError:
            return "its node does not answer"
        except RayActorError:
            return "its node has gone, or its actor"
        except RayError as error:
            return first_line(error)

    def kill(self) -> None:
        """See `Hold.kill`."""
        with contextlib.suppress(RayError, ValueError):
            ray.kill(self._actor)
