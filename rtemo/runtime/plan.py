"""Plan: one row count's fixed buffers and bindings, so that a model call moves as little as possible."""

from collections.abc import Mapping

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from rtemo.api import ModelCard, StateTable, TensorSpec

Array = NDArray[np.generic]


def graph_shape(spec: TensorSpec, count: int) -> tuple[int, ...]:
    """Tell the shape a graph sees for `count` rows, the batch axis where the graph wants it."""
    return (*spec.shape[: spec.batch_axis], count, *spec.shape[spec.batch_axis :])


class RowPool:
    """Memory for one tensor of up to `capacity` rows, handed out in the graph's layout without gaps."""

    def __init__(self, spec: TensorSpec, capacity: int) -> None:
        self.spec = spec
        self._flat: Array = np.zeros(capacity * int(np.prod(spec.shape, dtype=np.int64)), dtype=spec.dtype)

    def take(self, count: int) -> Array:
        """Give the first rows as a contiguous array in the graph's layout."""
        shape = graph_shape(self.spec, count)
        return self._flat[: int(np.prod(shape, dtype=np.int64))].reshape(shape)

    def rows(self, array: Array) -> Array:
        """View an array of `take` with the batch axis first."""
        return np.moveaxis(array, self.spec.batch_axis, 0)


class Bench:
    """All memory that a model needs beside one state table, and its plans by row count.

    Args:
        session: The loaded graph.
        card: Its tensors.
        constants: Inputs that never change.
        next_names: State → output that holds its next value.
        table: The state; only its arrays are kept, so that it can be freed.
    """

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        card: ModelCard,
        constants: Mapping[str, onnxruntime.OrtValue],
        next_names: Mapping[str, str],
        table: StateTable,
    ) -> None:
        self.capacity = table.capacity
        self.session = session
        self.constants = constants
        self.next_names = next_names
        self.inputs = {name: RowPool(spec, table.capacity) for name, spec in card.inputs.items()}
        self.outputs = {name: RowPool(spec, table.capacity) for name, spec in card.outputs.items()}
        self.states = {name: table[name] for name in card.states}
        self.staged = {name: RowPool(spec, table.capacity) for name, spec in card.states.items()}
        self.following = {name: RowPool(spec, table.capacity) for name, spec in card.states.items()}
        self._plans: dict[tuple[int, bool], Plan] = {}

    def plan(self, count: int, gathered: bool) -> "Plan":
        """Lend the plan for `count` rows, read in place or gathered from anywhere in the table."""
        plan = self._plans.get((count, gathered))
        if plan is None:
            if not 0 <= count <= self.capacity:
                raise ValueError(f"the state holds {self.capacity} rows; got {count}")
            plan = self._plans[count, gathered] = Plan(self, count, gathered)
        return plan


class Plan:
    """Buffers of one row count, bound to the graph once and for all.

    Attributes:
        outputs: name → array [count, ...], overwritten by every run.
    """

    def __init__(self, bench: Bench, count: int, gathered: bool) -> None:
        self._count = count
        self._session = bench.session
        self._binding = bench.session.io_binding()
        self._keep: list[Array] = []
        self._inputs: list[tuple[str, Array]] = []
        self._reads: list[tuple[Array, Array]] = []
        self._writes: list[tuple[Array, Array]] = []
        self.outputs: dict[str, Array] = {}
        for name, value in bench.constants.items():
            self._binding.bind_ortvalue_input(name, value)
        for name, pool in bench.inputs.items():
            self._inputs.append((name, pool.rows(self._bind_input(name, pool.take(count)))))
        for name, table in bench.states.items():
            staged, following = bench.staged[name], bench.following[name]
            if gathered or staged.spec.batch_axis:
                self._reads.append((table, staged.rows(self._bind_input(name, staged.take(count)))))
            else:
                self._bind_input(name, table[:count])
            output = self._bind_output(bench.next_names[name], following.take(count))
            self._writes.append((table, following.rows(output)))
        for name, pool in bench.outputs.items():
            self.outputs[name] = pool.rows(self._bind_output(name, pool.take(count)))

    def load(self, inputs: Mapping[str, Array]) -> None:
        """Copy the callers' inputs to where the graph reads them."""
        for name, view in self._inputs:
            given = inputs.get(name)
            if given is None or given.shape != view.shape:
                got = "nothing" if given is None else f"shape {given.shape}"
                raise ValueError(f"input {name!r} must have shape {view.shape}; got {got}")
            np.copyto(view, given)

    def read(self, rows: NDArray[np.int64] | None) -> None:
        """Gather the state of `rows`, or of the leading rows where the graph cannot read it in place."""
        for table, view in self._reads:
            view[...] = table[: self._count] if rows is None else table[rows]

    def run(self) -> None:
        """Run the graph on what is in the buffers."""
        if self._count:
            self._session.run_with_iobinding(self._binding)

    def write(self, rows: NDArray[np.int64] | None) -> None:
        """Put the next state into the table."""
        for table, view in self._writes:
            if rows is None:
                table[: self._count] = view
            else:
                table[rows] = view

    def _bind_input(self, name: str, array: Array) -> Array:
        self._keep.append(array)
        self._binding.bind_input(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        return array

    def _bind_output(self, name: str, array: Array) -> Array:
        self._keep.append(array)
        self._binding.bind_output(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
        return array
