"""OnnxHandle: a model run by ONNX Runtime on one thread, its state bound in place."""

import contextlib
import ctypes
import os
import sys
from collections.abc import Collection, Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from rtemo.api import ModelCard, ModelError, StateTable, TensorSpec
from rtemo.api.trouble import first_line
from rtemo.runtime.graph import GraphError
from rtemo.runtime.graph_cut import cut_graph, input_names
from rtemo.runtime.plan import Bench, graph_shape

onnxruntime.disable_telemetry_events()  # `rtemo.telemetry` does more, unless the program imported the runtime first

_LARGE_BYTES = 4 << 20
_ONNX_TYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
}


class OnnxHandle:
    """Weights loaded once and shared by all streams, run for any number of rows in one call.

    One thread, no spinning: a hop's work is too small to be split, and idle threads that spin slow the others.
    Whatever has a fixed address is bound once per row count and kept: a call then costs one crossing into the
    runtime, where passing arrays by name costs 10 us more and binding anew 33 us more. Leading rows of a state
    are read where they lie; the next state is written beside and copied back, since a graph may write an output
    before it has read all inputs. (Swapping two tables instead of copying saves 2 us of 42 at one row and
    under 3 % at 64 rows of a graph with 16 KiB of state, and would leave callers with stale arrays.)

    Args:
        card: What the graph must look like.
        data: The weights, an ONNX model without external data.
        device: `cpu`, or `cuda` where the CUDA build of ONNX Runtime is installed.

    Raises:
        ModelError: The graph cannot be loaded or does not match the card, or there is no such device.
    """

    def __init__(self, card: ModelCard, data: bytes, device: str = "cpu") -> None:
        self.card = card
        self._data = data if card.states else b""  # kept for a carrier, which is about states
        self._is_on_cpu = device == "cpu"
        self._session = open_session(card, data, providers(device))
        self._next_names = {name: card.next_states.get(name, f"next_{name}") for name in card.states}
        self._constants = {
            name: onnxruntime.OrtValue.ortvalue_from_numpy(np.full(spec.shape, spec.fill, dtype=spec.dtype))
            for name, spec in card.constants.items()
        }
        self._benches: WeakKeyDictionary[StateTable, Bench] = WeakKeyDictionary()
        self._check_shapes()
        self._check_run()
        if len(data) > _LARGE_BYTES:
            _give_heap_back()

    def new_state(self, capacity: int) -> StateTable:
        """Make the state tables of `card.states` for up to `capacity` rows."""
        table = StateTable(capacity)
        for name, spec in self.card.states.items():
            table.add(name, spec.shape, spec.dtype, spec.fill)
        return table

    def begin(
        self, inputs: Mapping[str, NDArray[np.generic]], state: StateTable, rows: NDArray[np.int64] | int
    ) -> "Ready":
        """Run one step; on a CPU there is nobody else to work on it, so it is done when this returns."""
        return Ready(self.run(inputs, state, rows))

    def run(
        self, inputs: Mapping[str, NDArray[np.generic]], state: StateTable, rows: NDArray[np.int64] | int
    ) -> dict[str, NDArray[np.generic]]:
        """Run one step for some rows and write their next state in place.

        Args:
            inputs: name → array [k, ...] in the order of `rows`.
            state: Table made by `new_state`.
            rows: Either the count k of leading rows 0..k-1 (read in place), or int64 [k] distinct row numbers
                (gathered and scattered).

        Returns:
            name → array [k, ...] of the non-state outputs; valid until the next call with this state.

        Raises:
            ValueError: An input is missing or of the wrong shape, or there are more rows than the table holds.
        """
        is_leading = isinstance(rows, int | np.integer)
        numbers = None if is_leading else np.asarray(rows)
        plan = self._bench(state).plan(int(rows) if numbers is None else len(numbers), gathered=numbers is not None)
        plan.load(inputs)
        plan.read(numbers)
        plan.run()
        plan.write(numbers)
        return dict(plan.outputs)

    def warm(self, state: StateTable, counts: Iterable[int]) -> None:
        """Run every count of rows once on zeros, leaving `state` as it is, so that no later call is a first one."""
        self._data = b""  # of which ONNX Runtime has a copy
        bench = self._bench(state)
        for count in counts:
            for gathered in (False, True):
                bench.plan(count, gathered).run()

    def carrier(self, states: Collection[str]) -> "OnnxHandle | None":
        """Make the handle that `rtemo.api.carrier_of` describes, of the part of the graph that leads to `states`.

        None for a graph that cannot be cut (one with graphs within nodes, or states that are no float32), and on a
        device, where a second graph would cost more than it saves.
        """
        card = self.card
        kept = {name: spec for name, spec in card.states.items() if name in states}
        if not kept or not self._data or not self._is_on_cpu or any(spec.dtype != "float32" for spec in kept.values()):
            return None
        try:
            part = cut_graph(self._data, {}, [self._next_names[name] for name in kept])
        except GraphError:
            return None
        used = set(input_names(part))
        named = {
            "inputs": {name: spec for name, spec in card.inputs.items() if name in used},
            "constants": {name: spec for name, spec in card.constants.items() if name in used},
            "states": kept,
            "outputs": {},
        }
        return OnnxHandle(msgspec.structs.replace(card, **named), part)

    def _bench(self, state: StateTable) -> Bench:
        bench = self._benches.get(state)
        if bench is None:
            bench = self._benches[state] = Bench(self._session, self.card, self._constants, self._next_names, state)
        return bench

    def _check_shapes(self) -> None:
        card = self.card
        next_specs = {self._next_names[name]: spec for name, spec in card.states.items()}
        for side, nodes, specs in (
            ("input", self._session.get_inputs(), card.inputs | card.states | card.constants),
            ("output", self._session.get_outputs(), card.outputs | next_specs),
        ):
            found = {node.name: node for node in nodes}
            for name in specs.keys() - found.keys():
                raise self._mismatch(f"has no {side} {name!r} (it has {', '.join(found)})")
            if side == "input":
                for name in found.keys() - specs.keys():
                    raise self._mismatch(f"wants an input {name!r} that the card does not name")
            for name, spec in specs.items():
                self._check_tensor(side, name, spec, found[name], has_batch=name not in card.constants)

    def _check_tensor(self, side: str, name: str, spec: TensorSpec, node: onnxruntime.NodeArg, has_batch: bool) -> None:
        dtype = _ONNX_TYPES.get(node.type, node.type)
        if dtype != spec.dtype:
            raise self._mismatch(f"has {side} {name!r} of type {dtype}, the card says {spec.dtype}")
        expected: list[int | None] = list(spec.shape)
        if has_batch:
            expected.insert(spec.batch_axis, None)
        # Exporters leave dimensions they do not know as names, as None or as 0.
        got = [size if isinstance(size, int) and size > 0 else None for size in node.shape]
        text = f"has {side} {name!r} of shape {_shape_text(got)}, the card says {_shape_text(expected)}"
        if len(got) != len(expected):
            raise self._mismatch(text)
        for axis, (size, wanted) in enumerate(zip(got, expected, strict=True)):
            if has_batch and axis == spec.batch_axis and size is not None:
                raise self._mismatch(f"fixes the batch axis of {side} {name!r} to {size}, so it cannot run n rows")
            if size is not None and wanted is not None and size != wanted:
                raise self._mismatch(text)

    def _check_run(self) -> None:
        """Prove what the graph leaves open by running it for two rows."""
        card, count = self.card, 2
        feed = {name: value.numpy() for name, value in self._constants.items()}
        for name, spec in (card.inputs | card.states).items():
            feed[name] = np.zeros(graph_shape(spec, count), dtype=spec.dtype)
        wanted = card.outputs | {self._next_names[name]: spec for name, spec in card.states.items()}
        try:
            results = self._session.run(list(wanted), feed)
        except Exception as error:
            raise self._mismatch(f"does not run with the card's shapes ({first_line(error)})") from error
        for (name, spec), result in zip(wanted.items(), results, strict=True):
            if result.shape != graph_shape(spec, count):
                raise self._mismatch(
                    f"gives output {name!r} of shape {result.shape} for {count} rows, "
                    f"the card says {graph_shape(spec, count)}"
                )

    def _mismatch(self, problem: str) -> ModelError:
        return ModelError(
            f"model {self.card.name!r} does not match its card: the graph {problem}",
            "export the model and its card together",
        )


class Ready:
    """A step that is done."""

    def __init__(self, outputs: dict[str, NDArray[np.generic]]) -> None:
        self._outputs = outputs

    def take(self) -> dict[str, NDArray[np.generic]]:
        """Give its outputs."""
        return self._outputs


def open_session(card: ModelCard, data: bytes, providers: list[Any], threads: int = 1) -> onnxruntime.InferenceSession:
    """Load a graph that `check_graph` has passed.

    Raises:
        ModelError: ONNX Runtime does not take it.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = False  # it never shrinks, and at these sizes it is not faster
    options.log_severity_level = 3
    # `check_graph` has refused external data and other formats; should any slip past it, no file lies below this.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    try:
        return onnxruntime.InferenceSession(data, options, providers=providers)
    except Exception as error:
        raise ModelError(
            f"the weights of {card.name!r} cannot be loaded by ONNX Runtime {onnxruntime.__version__} "
            f"({first_line(error)})",
            "reinstall the bundle, or update onnxruntime",
        ) from error


def providers(device: str) -> list[Any]:
    """Name what runs graphs on a device.

    Raises:
        ModelError: There is no such device here.
    """
    kind, _, number = device.partition(":")
    if kind == "cpu":
        return ["CPUExecutionProvider"]
    if kind != "cuda" or (number and not number.isdecimal()):
        raise ModelError(f"there is no device {device!r}", "name cpu, cuda or cuda:<number>")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise ModelError(
            f"device {device!r} cannot be used here: ONNX Runtime {onnxruntime.__version__} is a build without CUDA",
            "install onnxruntime-gpu in its place, or use runtime.device = 'cpu'",
        )
    return [("CUDAExecutionProvider", {"device_id": int(number or 0)}), "CPUExecutionProvider"]


def _give_heap_back() -> None:
    """Give the system back what folding a large graph took of the heap, where its allocator (glibc's) keeps that."""
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(None).malloc_trim(0)


def _shape_text(shape: list[int | None]) -> str:
    return "[" + ", ".join("n" if size is None else str(size) for size in shape) + "]"
