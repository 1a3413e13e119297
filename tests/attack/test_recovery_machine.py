"""The table of faults in docs/reliability-machine.md, compared with what happens."""

import os

import pytest

from tests.attack import audio_faults, part_faults, process_faults
from tests.attack.fault_table import count_lines, on_this_machine, promises

pytestmark = [pytest.mark.e2e, pytest.mark.timed]

PAGE = "reliability-machine.md"
OF_PROCESSES = process_faults.FAULTS | part_faults.FAULTS
FAULTS = audio_faults.FAULTS | OF_PROCESSES


def test_every_line_of_the_table_is_tried_and_every_fault_tried_stands_there() -> None:
    assert set(promises(PAGE)) == set(FAULTS)
    assert count_lines(PAGE) == len(promises(PAGE)), "a line of the table cannot be read"


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="processes are looked at in /proc")
@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_told_and_mended_as_the_table_says(fault: str) -> None:
    promise = promises(PAGE)[fault]
    FAULTS[fault](on_this_machine(promise) if fault in OF_PROCESSES else promise)


@pytest.mark.attack
@pytest.mark.timeout(1800)
def test_two_hours_of_drifting_clocks_leave_the_delay_bounded() -> None:
    audio_faults.clocks_drift(promises(PAGE)["clocks of two clients 600 ppm apart"], 7_200.0)
