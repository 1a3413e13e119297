import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rtemo.api import StateTable

pytestmark = pytest.mark.unit

CAPACITY = 6


class TableMachine(RuleBasedStateMachine):
    """A table of two arrays against a list of what each live row should hold."""

    def __init__(self) -> None:
        super().__init__()
        self.table = StateTable(CAPACITY)
        self.energy = self.table.add("energy", (), np.float32, fill=-1.0)
        self.line = self.table.add("line", (2, 3), np.int64, fill=[[1, 2, 3], [4, 5, 6]])
        self.rows: list[float] = []

    @precondition(lambda self: len(self.rows) < CAPACITY)
    @rule()
    def admit(self) -> None:
        self.table.admit(len(self.rows))
        self.rows.append(-1.0)

    @precondition(lambda self: self.rows)
    @rule(data=st.data(), value=st.floats(0, 100, width=32))
    def work(self, data: st.DataObject, value: float) -> None:
        row = data.draw(st.integers(0, len(self.rows) - 1))
        self.energy[row] = value
        self.line[row] = int(value)
        self.rows[row] = value

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def retire(self, data: st.DataObject) -> None:
        row = data.draw(st.integers(0, len(self.rows) - 1))
        self.table.retire(row, last=len(self.rows) - 1)
        self.rows[row] = self.rows[-1]
        self.rows.pop()

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def reset(self, data: st.DataObject) -> None:
        row = data.draw(st.integers(0, len(self.rows) - 1))
        self.table.reset(row)
        self.rows[row] = -1.0

    @invariant()
    def live_rows_hold_what_was_written_and_free_ones_are_fresh(self) -> None:
        fresh = np.array([[1, 2, 3], [4, 5, 6]])
        for row in range(CAPACITY):
            value = self.rows[row] if row < len(self.rows) else -1.0
            assert self.energy[row] == np.float32(value)
            assert np.array_equal(self.line[row], fresh if value == -1.0 else np.full((2, 3), int(value)))


TestStateTable = TableMachine.TestCase
TestStateTable.settings = settings(max_examples=60, deadline=None)


def test_table_lists_its_arrays_and_refuses_a_name_twice() -> None:
    table = StateTable(2)
    first = table.add("a", (3,), np.float32)
    table.add("b", (), np.uint8, fill=7)
    assert list(table) == ["a", "b"]
    assert table["a"] is first
    assert table["b"].tolist() == [7, 7]
    with pytest.raises(ValueError, match="'a' was added twice"):
        table.add("a", (), np.float32)


def test_live_rows_are_one_contiguous_slice() -> None:
    table = StateTable(8)
    state = table.add("state", (4, 5), np.float32)
    assert state[:3].flags["C_CONTIGUOUS"]
