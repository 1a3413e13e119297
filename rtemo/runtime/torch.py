"""TorchHandle: a model run by torch, its state on the device where it runs."""

from collections.abc import Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray

from rtemo.api import ModelCard, ModelError, TensorSpec
from rtemo.api.trouble import first_line
from rtemo.runtime.torch_graph import TorchGraph

Array = NDArray[np.generic]

_DTYPES: dict[str, torch.dtype] = {
    "float32": torch.float32,
    "float64": torch.float64,
    "float16": torch.float16,
    "int64": torch.int64,
    "int32": torch.int32,
    "uint8": torch.uint8,
    "bool": torch.bool,
}
_WARM_RUNS = 3  # what CUDA allocates lazily must be there before a graph is captured


def open_device(name: str) -> torch.device:
    """Find a device by name, as `cpu`, `cuda` or `cuda:1`.

    Raises:
        ModelError: There is no such device here.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ModelError(f"there is no device {name!r}", "name cpu, cuda or cuda:<number>") from error
    if device.type == "cpu":
        torch.set_num_threads(1)  # a hop's work is too small to be split, and idle threads that spin slow the others
        return device
    if device.type != "cuda" or not torch.cuda.is_available():
        built = f"torch {torch.__version__} is a build without CUDA" if torch.version.cuda is None else "no GPU is seen"
        raise ModelError(f"device {name!r} cannot be used here: {built}", "use runtime.device = 'cpu'")
    if device.index is not None and device.index >= torch.cuda.device_count():
        raise ModelError(f"there is no device {name!r}: {torch.cuda.device_count()} GPUs are seen", "name another")
    return device


class TorchState:
    """State of all streams as tensors [capacity + 1, ...] on the device; the last row is scrap.

    Args:
        specs: The states of a card.
        capacity: Most streams.
        device: Where they lie.
    """

    def __init__(self, specs: Mapping[str, TensorSpec], capacity: int, device: torch.device) -> None:
        self.capacity = capacity
        self.tensors = {
            name: torch.full((capacity + 1, *spec.shape), spec.fill, dtype=_DTYPES[spec.dtype], device=device)
            for name, spec in specs.items()
        }
        self._fills = {name: spec.fill for name, spec in specs.items()}

    def admit(self, row: int) -> None:
        """Give `row` fresh state."""
        self.reset(row)

    def reset(self, row: int, prefix: str = "") -> None:
        """Give `row` fresh state; only of the names that begin with `prefix`, if one is given."""
        for name, tensor in self.tensors.items():
            if name.startswith(prefix):
                tensor[row] = self._fills[name]

    def copy(self, row: int, other: "TorchState", other_row: int) -> None:
        """Fill `row` with the state of a row of another state of the same handle."""
        for name, tensor in self.tensors.items():
            tensor[row] = other.tensors[name][other_row]

    def retire(self, row: int, last: int) -> None:
        """Fill `row` with the state of row `last`, and make `last` fresh."""
        if row != last:
            for tensor in self.tensors.values():
                tensor[row] = tensor[last]
        self.reset(last)


class TorchPending:
    """A step that the device is at."""

    def __init__(self, step: "TorchStep", count: int) -> None:
        self._step = step
        self._count = count

    def take(self) -> dict[str, Array]:
        """Wait for the device and give name → array [k, ...]; valid until the next step of the same state."""
        return self._step.outputs(self._count)


class TorchHandle:
    """Weights loaded once on a device and shared by all streams.

    A step gathers its rows' state by number, runs the graph and scatters the next state back; rows that only fill a
    bucket go to a scrap row. On a GPU all of that is one CUDA graph per bucket of rows (powers of two).

    Args:
        card: What the graph must look like.
        data: The weights, an ONNX model without external data.
        device: Where to run.
        half: Multiply matrices in half precision.
        exact: See `TorchGraph`.
        buckets: Pad rows to powers of two; None for on a GPU only, where shapes must not change.

    Raises:
        ModelError: The graph has operations that are not known here, or does not match the card.
    """

    def __init__(
        self,
        card: ModelCard,
        data: bytes,
        device: str = "cpu",
        *,
        half: bool = False,
        exact: bool = True,
        buckets: bool | None = None,
    ) -> None:
        self.card = card
        self.device = open_device(device)
        self._graph = TorchGraph(data, self.device, half=half, exact=exact)
        self._is_bucketed = self.device.type == "cuda" if buckets is None else buckets
        self._steps: WeakKeyDictionary[TorchState, dict[int, TorchStep]] = WeakKeyDictionary()
        self._check()

    def new_state(self, capacity: int) -> TorchState:
        """Make the state of `card.states` for up to `capacity` rows."""
        return TorchState(self.card.states, capacity, self.device)

    def begin(self, inputs: Mapping[str, Array], state: TorchState, rows: NDArray[np.int64] | int) -> TorchPending:
        """Start one step for some rows; the device works while the caller goes on.

        Args:
            inputs: name → array [k, ...] in the order of `rows`; copied before this returns.
            state: Made by `new_state`.
            rows: Either the count k of leading rows, or int64 [k] distinct row numbers.

        Raises:
            ValueError: An input is missing or of the wrong shape, or there are more rows than the state holds.
        """
        numbers = np.arange(rows) if isinstance(rows, int | np.integer) else np.asarray(rows)
        count = len(numbers)
        if count > state.capacity:
            raise ValueError(f"the state holds {state.capacity} rows; got {count}")
        step = self.step(state, count)
        step.run(inputs, numbers)
        return TorchPending(step, count)

    def run(self, inputs: Mapping[str, Array], state: TorchState, rows: NDArray[np.int64] | int) -> dict[str, Array]:
        """Run one step; see `begin`."""
        return self.begin(inputs, state, rows).take()

    def warm(self, state: TorchState, counts: Iterable[int]) -> None:
        """Make every count of rows ready, leaving `state` as it is, so that no later call is a first one."""
        for count in counts:
            self.step(state, count)

    def step(self, state: TorchState, count: int) -> "TorchStep":
        """Give what runs so many rows, made at its first use."""
        steps = self._steps.setdefault(state, {})
        size = count if not self._is_bucketed else min(1 << max(0, count - 1).bit_length(), state.capacity)
        if size not in steps:
            steps[size] = TorchStep(self.card, self._graph, state, size)
        return steps[size]

    def _check(self) -> None:
        """Prove that the graph has the card's shapes by running it for two rows."""
        try:
            state = self.new_state(2)
            outputs = TorchStep(self.card, self._graph, state, 2).outputs(2)
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(
                f"model {self.card.name!r} does not run in torch ({first_line(error)})",
                "run it by ONNX Runtime: runtime.back_end = 'onnx'",
            ) from error
        for name, spec in self.card.outputs.items():
            if outputs[name].shape != (2, *spec.shape):
                raise ModelError(
                    f"model {self.card.name!r} does not match its card: the graph gives {name!r} of shape "
                    f"{outputs[name].shape} for 2 rows, the card says {(2, *spec.shape)}",
                    "export the model and its card together",
                )


class TorchStep:
    """One row count's buffers on host and device, and on a GPU the captured graph between them.

    Its parts are public so that each can be timed: `stage`, `copy_in`, `work`, `copy_out`, in this order. On a CPU
    nothing is copied.
    """

    def __init__(self, card: ModelCard, graph: TorchGraph, state: TorchState, size: int) -> None:
        device = graph.device
        self._is_cuda = device.type == "cuda"
        self._card = card
        self._graph = graph
        # Only the tensors are kept, so that a state that nobody holds any more is freed.
        self._states = state.tensors
        self._scrap = state.capacity
        self._size = size
        self._next_names = [card.next_states.get(name, f"next_{name}") for name in card.states]
        self._constants = {
            name: torch.full(spec.shape, spec.fill, dtype=_DTYPES[spec.dtype], device=device)
            for name, spec in card.constants.items()
        }
        self._rows_host = self._host(torch.full((size,), self._scrap, dtype=torch.int64))
        self._rows = self._rows_host.to(device)
        self._given_host = {
            name: self._host(torch.zeros((size, *spec.shape), dtype=_DTYPES[spec.dtype]))
            for name, spec in card.inputs.items()
        }
        self._given = {name: tensor.to(device) for name, tensor in self._given_host.items()}
        self._found: dict[str, Any] = {}
        self._found_host: dict[str, Any] = {}
        self._cuda_graph: Any = None
        with torch.inference_mode():
            self._prepare()

    def run(self, inputs: Mapping[str, Array], rows: NDArray[np.int64]) -> None:
        """Copy what is given to the device and start."""
        self.stage(inputs, rows)
        with torch.inference_mode():
            self.copy_in()
            self.work()
            self.copy_out()

    def stage(self, inputs: Mapping[str, Array], rows: NDArray[np.int64]) -> None:
        """Copy what is given to where the device can fetch it."""
        count = len(rows)
        if self._is_cuda:
            self._done.synchronize()  # else what the step before still copies would be overwritten
        for name, spec in self._card.inputs.items():
            given = inputs.get(name)
            if given is None or given.shape != (count, *spec.shape):
                got = "nothing" if given is None else f"shape {given.shape}"
                raise ValueError(f"input {name!r} must have shape {(count, *spec.shape)}; got {got}")
            np.copyto(self._given_host[name].numpy()[:count], given)
        numbers = self._rows_host.numpy()
        numbers[:count] = rows
        numbers[count:] = self._scrap

    def copy_in(self) -> None:
        """Have the device fetch what was staged."""
        if self._is_cuda:
            self._rows.copy_(self._rows_host, non_blocking=True)
            for name, tensor in self._given.items():
                tensor.copy_(self._given_host[name], non_blocking=True)

    def work(self) -> None:
        """Gather, run, scatter."""
        if self._is_cuda:
            self._cuda_graph.replay()
        else:
            self._work()

    def copy_out(self) -> None:
        """Have the device send back what it found."""
        if self._is_cuda:
            for name, tensor in self._found.items():
                self._found_host[name].copy_(tensor, non_blocking=True)
            self._done.record()

    @property
    def bytes_in(self) -> int:
        """Bytes that are copied to the device."""
        staged = [*self._given_host.values(), self._rows_host]
        return sum(tensor.numel() * tensor.element_size() for tensor in staged) if self._is_cuda else 0

    @property
    def bytes_out(self) -> int:
        """Bytes that are copied back."""
        found = self._found_host.values() if self._is_cuda else ()
        return sum(tensor.numel() * tensor.element_size() for tensor in found)

    def outputs(self, count: int) -> dict[str, Array]:
        """Wait and give the first `count` rows of every output."""
        if self._is_cuda:
            self._done.synchronize()
        return {name: tensor.numpy()[:count] for name, tensor in self._found_host.items()}

    def _host(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.pin_memory() if self._is_cuda else tensor

    def _prepare(self) -> None:
        kept = {name: tensor.clone() for name, tensor in self._states.items()}
        for _ in range(_WARM_RUNS if self._is_cuda else 1):
            self._work()
        if self._is_cuda:
            self._done = torch.cuda.Event()  # type: ignore[no-untyped-call]
            torch.cuda.synchronize()
            self._cuda_graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._cuda_graph):
                self._work()
            self._found_host = {name: self._host(torch.zeros_like(t, device="cpu")) for name, t in self._found.items()}
            self._done.record()
        for name, tensor in self._states.items():  # rows of zeros went through the scrap row only, which must not grow
            tensor.copy_(kept[name])

    def _work(self) -> None:
        """Gather, run, scatter; all shapes and addresses are those of this step."""
        card, given = self._card, self._given if self._is_cuda else self._given_host
        rows = self._rows if self._is_cuda else self._rows_host
        feed = {name: _to_graph(given[name], spec) for name, spec in card.inputs.items()}
        feed |= {name: _to_graph(self._states[name].index_select(0, rows), spec) for name, spec in card.states.items()}
        feed |= self._constants
        results = self._graph(feed, [*card.outputs, *self._next_names])
        for (name, spec), result in zip(card.outputs.items(), results, strict=False):
            self._keep(name, _from_graph(result, spec))
        for (name, spec), result in zip(card.states.items(), results[len(card.outputs) :], strict=True):
            self._states[name].index_copy_(0, rows, _from_graph(result, spec).to(self._states[name].dtype))

    def _keep(self, name: str, result: torch.Tensor) -> None:
        if not self._is_cuda:
            self._found_host[name] = result.contiguous()
        elif name in self._found:
            self._found[name].copy_(result)
        else:
            self._found[name] = result.clone()


def _to_graph(tensor: torch.Tensor, spec: TensorSpec) -> torch.Tensor:
    return tensor if not spec.batch_axis else tensor.movedim(0, spec.batch_axis)


def _from_graph(tensor: torch.Tensor, spec: TensorSpec) -> torch.Tensor:
    wanted = 1 + len(spec.shape)
    if tensor.dim() != wanted:
        raise ValueError(f"an output has {tensor.dim()} axes, the card says {wanted}")
    return tensor if not spec.batch_axis else tensor.movedim(spec.batch_axis, 0)
