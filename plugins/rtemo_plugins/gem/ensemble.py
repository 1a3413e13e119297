"""Ensemble: the network of experts, a step every few hops of each stream."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.api import (
    EXPERTS,
    Block,
    HopFlag,
    ModelError,
    ModelHandle,
    StateTable,
    carrier_of,
    check_seam,
    choose_steps,
)
from rtemo.dsp.kernel import kernel
from rtemo_plugins.gem.gate import UNIFORM, move_gate, sharpen_gate
from rtemo_plugins.gem.step import STEP_HOPS, Step

_SLACK_HOPS = STEP_HOPS - 1  # a step is computed before the next one is complete
_PATIENCE_HOPS = 2  # other plugins have their steps when ours are complete; half way between is the best time
_BATCH_ROWS = 2
_QUIET_ROWS = 64  # steps without voice cost little each, and nobody waits for them
_GATHERED = "pool_"  # states that grow by steps with voice alone
_PAGES = 2  # one fills while the other waits to be computed
_YES = 1  # of `vad.speech` and `vad.voice`: what is unknown is not listened to
_LAST = np.uint8(HopFlag.LAST)
_UNSOUND = np.uint8(HopFlag.DISCONTINUITY | HopFlag.CONCEALED | HopFlag.PADDED | HopFlag.SANITISED)


class Ensemble:
    """Collects hops and computes complete steps, a few at a time.

    Which hops make a step is fixed by the stream's own count. *When* it is computed is not: any tick before the next
    step is complete will do, and `stagger` chooses. A step without voice adds nothing to what the network has gathered,
    and its score is not looked at; only what its measures reach back over is brought on (`carry`).

    Args:
        model: The network; its states named `pool_…` grow by steps with voice alone.
        trace_count: Values of a hop.
        reach_hops: Hops that the frame of a hop reaches back over.
        capacity: Most streams.

    Raises:
        ModelError: The network takes or gives something else.
    """

    def __init__(self, model: ModelHandle, trace_count: int, reach_hops: int, capacity: int) -> None:
        card = model.card
        check_seam(
            card,
            "gem",
            "bundle",
            hops_per_step=STEP_HOPS,
            inputs={"traces": (STEP_HOPS, trace_count), "weight": (STEP_HOPS,), "gate": (len(EXPERTS),)},
            outputs={"score": (), "experts": (len(EXPERTS),)},
        )
        if tuple(card.labels) != EXPERTS:
            raise ModelError(
                f"bundle {card.name!r} has experts for {', '.join(card.labels) or 'nothing'}, not for "
                f"{', '.join(EXPERTS)}",
                "choose another `bundle`",
            )
        self._model = model
        self._hop_samples = card.hop_samples
        self._reach_hops = reach_hops
        self._network = model.new_state(capacity)

        self._table = table = StateTable(capacity)
        self._hops = table.add("hops", (), np.int64)
        self._unsound = table.add("unsound_hops", (), np.int64)
        self._is_waiting = table.add("is_waiting", (), np.bool_)
        self._is_quiet = table.add("is_quiet", (), np.bool_)
        self._gate = table.add("gate", (len(EXPERTS),), np.float32, UNIFORM)
        self._traces = table.add("traces", (_PAGES, STEP_HOPS, trace_count), np.float32)
        self._weight = table.add("weight", (_PAGES, STEP_HOPS), np.float32)
        self._page_gate = table.add("page_gate", (_PAGES, len(EXPERTS)), np.float32)
        self._position = table.add("position", (_PAGES, STEP_HOPS), np.int64)
        self._complete = np.zeros(capacity, np.int64)
        reaching = [name for name in card.states if not name.startswith(_GATHERED)]
        self._carrier = carrier_of(model, reaching)
        model.warm(self._network, {1, min(2, capacity), capacity})
        if self._carrier is not None:
            self._carrier.warm(self._network, {1, capacity})

    def hear(self, traces: NDArray[np.float32], block: Block, spared_hops: NDArray[np.int64]) -> NDArray[np.int64]:
        """Take one hop of each stream; give the rows whose step is now complete.

        Args:
            traces: float32 [n, trace_count].
            block: The hop.
            spared_hops: int64 [capacity], hops with voice of each stream that are to count as if they had none; those
                that are taken are counted off.
        """
        marks = block.marks
        count = _take_in(
            traces, marks["vad.speech"], marks["vad.voice"], marks["emotion.posterior"], block.flags,
            block.start_sample, spared_hops, self._reach_hops, self._hops, self._unsound, self._is_waiting,
            self._is_quiet, self._gate, self._traces, self._weight, self._page_gate, self._position, self._complete,
        )  # fmt: skip
        return self._complete[:count]

    def due(self, flags: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Choose the rows whose step is to be computed in this tick; a stream that ends waits for nothing.

        Returns:
            Rows to `run`, and rows to `carry`.
        """
        waiting = np.flatnonzero(self._is_waiting[: len(flags)])
        if not len(waiting):
            return waiting, waiting
        waited = np.where(flags[waiting] & _LAST, _SLACK_HOPS, self._hops[waiting] % STEP_HOPS)
        if self._carrier is None:
            return waiting[choose_steps(waited, _SLACK_HOPS, _BATCH_ROWS, _PATIENCE_HOPS)], waiting[:0]
        is_quiet = self._is_quiet[waiting]
        voiced, quiet = waiting[~is_quiet], waiting[is_quiet]
        # As many as if all had voice: a call costs as much as ten steps in it.
        batch_rows = max(_BATCH_ROWS, len(flags) // (_SLACK_HOPS + 1))
        return (
            voiced[choose_steps(waited[~is_quiet], _SLACK_HOPS, batch_rows, _PATIENCE_HOPS)],
            quiet[choose_steps(waited[is_quiet], _SLACK_HOPS, _QUIET_ROWS, _SLACK_HOPS)],
        )

    def carry(self, rows: NDArray[np.int64], n: int) -> None:
        """Bring the network past a step without voice of some of n streams; what is not finite begins anew."""
        assert self._carrier is not None
        step = self.step(rows)
        inputs = {"traces": step.traces, "weight": step.weight, "gate": step.gate}
        self._carrier.run(inputs, self._network, n if len(rows) == n else rows)
        self._is_waiting[rows] = False
        for row in rows[~np.isfinite(step.traces).all(axis=(1, 2))].tolist():
            self._network.reset(row)

    def step(self, rows: NDArray[np.int64]) -> Step:
        """Collect the complete step of each of `rows`."""
        at = rows, (self._hops[rows] // STEP_HOPS - 1) % _PAGES
        position = self._position[at]
        return Step(
            rows,
            self._traces[at],
            self._weight[at],
            self._page_gate[at],
            position[:, 0],
            position[:, -1] + self._hop_samples,
        )

    def run(self, step: Step, n: int) -> dict[str, NDArray[Any]]:
        """Compute a step of some of n streams; the outputs are valid until the next.

        A stream whose score is not finite begins anew: its states would give nothing else for ever.
        """
        rows = step.rows
        inputs = {"traces": step.traces, "weight": step.weight, "gate": step.gate}
        outputs = self._model.run(inputs, self._network, n if len(rows) == n else rows)
        self._is_waiting[rows] = False
        for row in rows[~np.isfinite(outputs["score"])].tolist():
            self._network.reset(row)
        return outputs

    def admit(self, row: int) -> None:
        """Prepare fresh state for a new stream."""
        self._table.admit(row)
        self._network.admit(row)

    reset = admit

    def retire(self, row: int, last: int) -> None:
        """Forget the stream at `row`; the one at `last` takes its place."""
        self._table.retire(row, last)
        self._network.retire(row, last)


@kernel
def _take_in(
    traces: NDArray[np.float32],
    speech_mark: NDArray[np.uint8],
    voice_mark: NDArray[np.uint8],
    posterior_mark: NDArray[np.float32],
    flags: NDArray[np.uint8],
    start_sample: NDArray[np.int64],
    spared_hops: NDArray[np.int64],
    reach_hops: int,
    hops: NDArray[np.int64],
    unsound: NDArray[np.int64],
    is_waiting: NDArray[np.bool_],
    is_quiet: NDArray[np.bool_],
    gate: NDArray[np.float32],
    held_traces: NDArray[np.float32],
    held_weight: NDArray[np.float32],
    held_gate: NDArray[np.float32],
    held_position: NDArray[np.int64],
    complete: NDArray[np.int64],
) -> int:
    """Put one hop of every row into its page; list the rows whose step is complete with it, and count them."""
    count = 0
    for row in range(traces.shape[0]):
        page, hop = hops[row] // STEP_HOPS % _PAGES, hops[row] % STEP_HOPS
        for trace in range(traces.shape[1]):
            held_traces[row, page, hop, trace] = traces[row, trace]
        unsound[row] = reach_hops if flags[row] & _UNSOUND else max(unsound[row] - 1, 0)
        has_voice = speech_mark[row] == _YES and voice_mark[row] == _YES and unsound[row] == 0
        if has_voice and spared_hops[row] > 0:
            spared_hops[row] -= 1
            has_voice = False
        held_weight[row, page, hop] = np.float32(1.0 if has_voice else 0.0)
        held_position[row, page, hop] = start_sample[row]
        hops[row] += 1
        if hops[row] % STEP_HOPS == 0:
            move_gate(posterior_mark[row], gate[row])
            sharpen_gate(gate[row], held_gate[row, page])
            is_waiting[row] = True
            is_quiet[row] = not held_weight[row, page].any()
            complete[count] = row
            count += 1
    return count
