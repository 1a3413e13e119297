"""What a program reads of the compiling of kernels when it does not ask to be told."""

import logging
from typing import Any

import pytest

from rtemo.config import Config
from rtemo.dsp import kernel_cache
from rtemo.warming import Warming, WarmProgress

pytestmark = pytest.mark.unit


class NoCompilers:
    """Stands in for the processes that compile beside this one."""

    def __init__(self, *_: Any) -> None:
        pass

    def stop(self) -> None:
        pass


@pytest.mark.parametrize("is_told", [False, True])
def test_a_program_reads_once_why_it_waits_unless_it_is_told_how_far_it_is(
    is_told: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("rtemo.warming.SideCompilers", NoCompilers)
    told: list[WarmProgress] = []
    with caplog.at_level(logging.INFO, "rtemo.warming"), Warming(Config(), told.append if is_told else None):
        for _ in range(2):
            kernel_cache.watchers[-1](frozenset(), "missing")
        (line,) = caplog.records
    assert line.getMessage().startswith("rtemo compiles its kernels, once")
    assert line.levelno == (logging.INFO if is_told else logging.WARNING)
    assert bool(told) == is_told
