"""The tables of faults in docs: what tells a fault, and within which time; tests compare them with what happens."""

import os
import re
from typing import NamedTuple

from tests.fakes.program import ROOT


class Promise(NamedTuple):
    """A line of a table."""

    told_by: str
    told_s: float
    whole_s: float


def on_this_machine(promise: Promise) -> Promise:
    """What a promise is on a machine that has more to do than processors: as much longer as each program waits."""
    longer = min(8.0, max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)))
    return Promise(promise.told_by, longer * promise.told_s, longer * promise.whole_s)


def page(name: str) -> str:
    """The text of a page of docs."""
    return (ROOT / "docs" / name).read_text()


def promises(name: str) -> dict[str, Promise]:
    """The lines of the table of a page, by fault."""
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([\d.]+) s \| ([\d.]+) s \|$", page(name), re.MULTILINE)
    return {fault: Promise(told_by, float(told), float(whole)) for fault, told_by, told, whole in rows}


def count_lines(name: str) -> int:
    """Lines of the table of a page, whether they can be read or not; its heading left out."""
    return page(name).count("\n| ") - 1
