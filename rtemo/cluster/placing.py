"""Placing: which worker a call goes to."""

from collections.abc import Iterable
from hashlib import blake2b


def ranked(call: str, workers: Iterable[int]) -> list[int]:
    """Put workers in the order in which a call asks them for room.

    Rendezvous hashing (Thaler and Ravishankar, 1998): each worker has a weight made of the call and its number, the
    highest comes first. A worker that comes or goes moves no call between others.

    >>> ranked("call-1", [1, 2, 3]) == [n for n in ranked("call-1", [1, 2, 3, 4]) if n != 4]
    True
    """
    name = call.encode("utf-8", "surrogatepass")
    return sorted(workers, key=lambda number: blake2b(name, digest_size=8, salt=_salt(number)).digest(), reverse=True)


def _salt(number: int) -> bytes:
    return number.to_bytes(8, "little")
