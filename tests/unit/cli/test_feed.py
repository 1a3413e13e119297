import contextlib
import signal
import time

import pytest

from rtemo.cli.feed import heard
from rtemo.cli.stopping import term_as_interrupt
from rtemo.client import Subscriber

pytestmark = pytest.mark.unit


def test_a_ctrl_c_that_was_lost_ends_a_feed_on_which_nothing_comes(tmp_path) -> None:
    started_s = time.monotonic()
    with term_as_interrupt(), Subscriber(f"ipc://{tmp_path}/events", connect_timeout_s=20) as feed:
        with contextlib.suppress(KeyboardInterrupt):  # as it is lost that strikes while a module is imported
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            next(heard(feed.receive))
    assert time.monotonic() - started_s < 5
