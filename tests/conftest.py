"""What holds for all tests."""

import signal

import pytest
from hypothesis import settings

import rtemo.telemetry  # noqa: F401 - it switches the telemetry of the runtimes off, before a test imports one
from rtemo.processors import count_processors

pytest.register_assert_rewrite("rtemo.testing")

# A shell that starts us in the background has us ignore Ctrl-C, and so would every program that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine must not turn an example that takes 20 ms into one that fails: who measures time says so himself.
settings.register_profile("rtemo", deadline=None)
settings.load_profile("rtemo")


def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are processors: many tests wait for another program, or for the clock."""
    return count_processors() + 1
