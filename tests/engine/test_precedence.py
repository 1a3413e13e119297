import os
import subprocess
import sys
import threading
import time

import pytest

from rtemo.engine.engine import Engine
from rtemo.engine.options import EngineOptions
from rtemo.engine.precedence import Precedence, permitted
from tests.engine.plugins import hanging
from tests.engine.rig import HOP, ramp

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not hasattr(os, "sched_setscheduler"), reason="this system has no such scheduling"),
]

is_allowed = pytest.mark.skipif(
    hasattr(os, "sched_setscheduler") and permitted() != "realtime", reason="real-time scheduling is not permitted here"
)


def policy(number=0):
    return os.sched_getscheduler(number) & ~os.SCHED_RESET_ON_FORK


def level(thread):
    return os.sched_getparam(thread.native_id).sched_priority


def named(name):
    return next(thread for thread in threading.enumerate() if thread.name == name)


def policies():
    # One that is only about to start has no number yet.
    return {thread.name: policy(thread.native_id) for thread in threading.enumerate() if thread.native_id}


@is_allowed
def test_threads_of_a_live_engine_run_before_other_programs_until_it_stops():
    engine = Engine([], EngineOptions(owns_process=True))
    engine.open()
    engine.start()
    is_over = threading.Event()
    threading.Thread(target=is_over.wait, name="slow work of a plugin").start()
    try:
        engine.take_precedence()
        assert policies().pop("slow work of a plugin") == os.SCHED_OTHER
        ours = [name for name in policies() if name.startswith(("rtemo-", "MainThread"))]
        assert len(ours) == 3, ours
        assert {policies()[name] for name in ours} == {os.SCHED_RR}
        assert level(named("rtemo-driver-0")) > level(threading.main_thread())
        child = subprocess.run(
            [sys.executable, "-c", "import os; print(os.sched_getscheduler(0))"], capture_output=True
        )
        assert int(child.stdout) == os.SCHED_OTHER, "processes do not inherit it"
    finally:
        is_over.set()
        engine.stop("done")
    assert set(policies().values()) == {os.SCHED_OTHER}


@is_allowed
@pytest.mark.parametrize(
    ("options", "is_live"), [({"realtime": False}, True), ({"owns_process": False}, True), ({}, False)]
)
def test_nobody_takes_precedence_who_embeds_freewheels_or_was_told_not_to(options, is_live):
    engine = Engine([], EngineOptions(**{"owns_process": True, **options}), is_live=is_live)
    engine.open()
    try:
        engine.take_precedence()
        assert policy() == os.SCHED_OTHER
    finally:
        engine.stop("done")


@is_allowed
def test_plugin_that_hangs_loses_precedence_and_the_next_driver_has_it():
    bad = hanging("bad")
    engine = Engine([bad], EngineOptions(owns_process=True, hang_s=0.2))
    engine.open()
    engine.start()
    engine.take_precedence()
    hung = named("rtemo-driver-0")
    try:
        bad.processor.hang_at_tick = 0
        engine.open_stream("call", "0").write(ramp(HOP))
        deadline_s = time.monotonic() + 5
        while "rtemo-driver-1" not in policies():
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        time.sleep(0.1)
        assert policies()["rtemo-driver-1"] == os.SCHED_RR
        assert policy(hung.native_id) == os.SCHED_OTHER
    finally:
        bad.processor.release.set()
        engine.stop("done")


@is_allowed
def test_thread_that_somebody_has_scheduled_on_purpose_is_left_alone():
    found = []

    def run():
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        precedence = Precedence()
        found.append(precedence.take([threading.current_thread()]))
        precedence.give_back()
        found.append(policy())

    thread = threading.Thread(target=run, name="rtemo-source-x")
    thread.start()
    thread.join()
    assert found == ["none", os.SCHED_BATCH]
