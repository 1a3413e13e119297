"""What holds for all tests."""

import signal

import pytest

import rtemo.telemetry  # noqa: F401 - it switches the telemetry of the runtimes off, before a test imports one

pytest.register_assert_rewrite("rtemo.testing")

# A shell that starts us in the background has us ignore Ctrl-C, and so would every program that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
