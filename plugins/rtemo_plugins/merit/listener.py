"""Listener: the network that hears emotion and tells the enhancer what it listens to, a step every few hops."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.api import (
    EMOTIONS,
    Block,
    HopFlag,
    ModelHandle,
    StateTable,
    carrier_of,
    check_seam,
    choose_steps,
)
from rtemo.dsp.kernel import kernel
from rtemo_plugins.merit.step import Step

STEP_HOPS = 4
"""Hops that the network takes at once."""

_SLACK_HOPS = STEP_HOPS - 1  # a step is computed before the next one is complete
_BATCH_ROWS = 32  # the weights fall out of the cache between two ticks: to fetch them costs as much as 16 steps
_QUIET_ROWS = 64  # which cost less
_CROWD_ROWS = 16  # with more streams a step waits a hop for company; with fewer it is computed at once
_POOLED = "pool_"
_PAGES = 2  # one fills while the other waits to be computed
_SILENCE = 0  # of `vad.speech` and `vad.voice`: anything else, unknown too, is listened to
_LAST = np.uint8(HopFlag.LAST)


class Listener:
    """Collects hops, computes complete steps, and lets their context count at a fixed time.

    Which hops make a step is fixed by the stream's own count. *When* it is computed is not: any tick before the next
    step is complete will do, and `stagger` chooses. To the outside nothing shows, for the context of step j - 2 is
    what counts during step j, and before any there are zeros.

    No event rests on the outputs of a step in which nobody speaks, outside of a turn. All that it leaves behind is what
    the network knows of the room and of the sound before. Where nobody reads the context either, only these states are
    brought on (`carry`), for less than the step costs: what is pooled begins anew with the turn anyhow, so that the
    turn finds every state as if nothing had been left out.

    Args:
        model: The network; its states named `pool_…` belong to a turn.
        mel_count: Bands of a hop.
        capacity: Most streams.
        has_reader: Whether somebody reads the context, which then must be right at every hop: unless the engine cannot
            carry its load, since it does without what is made of it first.

    Attributes:
        context: float32 [capacity, …], what counts at the present hop of each stream.

    Raises:
        ModelError: The network takes or gives something else.
    """

    def __init__(self, model: ModelHandle, mel_count: int, capacity: int, *, has_reader: bool = True) -> None:
        card = model.card
        check_seam(
            card,
            "merit",
            "listen_bundle",
            hops_per_step=STEP_HOPS,
            inputs={"bands": (STEP_HOPS, mel_count), "weight": (STEP_HOPS,)},
            outputs={"logits": (len(EMOTIONS),), "arousal": (), "valence": (), "context": None},
        )
        self._model = model
        self._hop_samples = card.hop_samples
        self._network = model.new_state(capacity)
        context = card.outputs["context"].shape

        held = (_PAGES, STEP_HOPS)
        self._table = table = StateTable(capacity)
        self._hops = table.add("hops", (), np.int64)
        self._is_waiting = table.add("is_waiting", (), np.bool_)
        self._is_quiet = table.add("is_quiet", (), np.bool_)
        self._bands = table.add("bands", (*held, mel_count), np.float32)
        self._weight = table.add("weight", held, np.float32)
        self._is_speech = table.add("is_speech", held, np.bool_)
        self._position = table.add("position", held, np.int64)
        self._newest = table.add("newest_context", context, np.float32)
        self.context: NDArray[np.float32] = table.add("context", context, np.float32)  # type: ignore[assignment]
        self._complete = np.zeros(capacity, np.int64)
        lasting = [name for name in card.states if not name.startswith(_POOLED)]
        self._has_reader = has_reader
        self._carrier = carrier_of(model, lasting)
        model.warm(self._network, {1, capacity})
        if self._carrier is not None:
            self._carrier.warm(self._network, {1, capacity})

    def hear(self, bands: NDArray[np.float32], block: Block) -> NDArray[np.int64]:
        """Take one hop of each stream, bands float32 [n, mel_count]; give the rows whose step is now complete."""
        count = _take_in(
            bands, block.marks["vad.speech"], block.marks["vad.voice"], block.start_sample, self._hops,
            self._is_waiting, self._is_quiet, self._bands, self._weight, self._is_speech,
            self._position, self._complete,
        )  # fmt: skip
        return self._complete[:count]

    def publish(self, rows: NDArray[np.int64]) -> None:
        """Let the newest context of `rows` count; before the steps of this tick are computed, whichever they are."""
        self.context[rows] = self._newest[rows]

    def due(
        self, flags: NDArray[np.uint8], is_in_turn: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Choose the rows whose step is to be computed in this tick; a stream that ends waits for nothing.

        Args:
            flags: uint8 [n].
            is_in_turn: bool [capacity], whether a turn is going on.

        Returns:
            Rows to `run`, and rows to `carry`.
        """
        waiting = np.flatnonzero(self._is_waiting[: len(flags)])
        if not len(waiting):
            return waiting, waiting
        waited = np.where(flags[waiting] & _LAST, _SLACK_HOPS, self._hops[waiting] % STEP_HOPS)
        is_crowd = len(flags) > _CROWD_ROWS
        patience_hops = 1 if is_crowd else 0
        if self._carrier is None or self._has_reader:
            return waiting[choose_steps(waited, _SLACK_HOPS, _BATCH_ROWS, patience_hops)], waiting[:0]
        is_quiet = self._is_quiet[waiting] & ~is_in_turn[waiting]
        told, quiet = waiting[~is_quiet], waiting[is_quiet]
        told = told[choose_steps(waited[~is_quiet], _SLACK_HOPS, _BATCH_ROWS, patience_hops)]
        # Nobody waits for these, so they wait for each other.
        patience_hops = _SLACK_HOPS if is_crowd else 0
        return told, quiet[choose_steps(waited[is_quiet], _SLACK_HOPS, _QUIET_ROWS, patience_hops)]

    def thin(
        self, rows: NDArray[np.int64], thrift: int, is_in_turn: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Divide rows whose step is due where only every so many steps of a turn are to be computed whole.

        The first step of a turn and the one in which it ends are always among them.

        Args:
            rows: int64 [k].
            thrift: Every how many.
            is_in_turn: bool [capacity], whether a turn is going on.

        Returns:
            Rows to `run`, and rows to `carry` within a turn; none of these where the runtime has no carriers.
        """
        if self._carrier is None:
            return rows, rows[:0]
        number = self._hops[rows] // STEP_HOPS - 1
        goes_on = is_in_turn[rows] & self._is_speech[rows, number % _PAGES, -1]
        is_thin = goes_on & (number % thrift != 0)
        return rows[~is_thin], rows[is_thin]

    def carry(self, rows: NDArray[np.int64], n: int) -> Step:
        """Bring the network past a step of some of n streams without computing what it says of it."""
        assert self._carrier is not None
        step = self.step(rows)
        inputs = {"bands": step.bands, "weight": step.weight}
        self._carrier.run(inputs, self._network, n if len(rows) == n else rows)
        self._is_waiting[rows] = False
        return step

    def step(self, rows: NDArray[np.int64]) -> Step:
        """Collect the complete step of each of `rows`."""
        at = rows, (self._hops[rows] // STEP_HOPS - 1) % _PAGES
        position = self._position[at]
        return Step(
            rows,
            self._bands[at],
            self._weight[at],
            self._is_speech[at],
            position[:, 0],
            position[:, -1] + self._hop_samples,
        )

    def run(self, step: Step, n: int) -> dict[str, NDArray[Any]]:
        """Compute a step of some of n streams; the outputs are valid until the next."""
        rows = step.rows
        outputs = self._model.run(
            {"bands": step.bands, "weight": step.weight}, self._network, n if len(rows) == n else rows
        )
        self._newest[rows] = outputs["context"]
        self._is_waiting[rows] = False
        return outputs

    def forget_turn(self, row: int) -> None:
        """Begin a turn: what was pooled over the one before is forgotten, what is known of the room is not."""
        self._network.reset(row, _POOLED)

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
    bands: NDArray[np.float32],
    speech_mark: NDArray[np.uint8],
    voice_mark: NDArray[np.uint8],
    start_sample: NDArray[np.int64],
    hops: NDArray[np.int64],
    is_waiting: NDArray[np.bool_],
    is_quiet: NDArray[np.bool_],
    held_bands: NDArray[np.float32],
    held_weight: NDArray[np.float32],
    held_speech: NDArray[np.bool_],
    held_position: NDArray[np.int64],
    complete: NDArray[np.int64],
) -> int:
    """Put one hop of every row into its page; list the rows whose step is complete with it, and count them."""
    count = 0
    for row in range(bands.shape[0]):
        page, hop = hops[row] // STEP_HOPS % _PAGES, hops[row] % STEP_HOPS
        for band in range(bands.shape[1]):
            held_bands[row, page, hop, band] = bands[row, band]
        is_speech = speech_mark[row] != _SILENCE
        held_speech[row, page, hop] = is_speech
        held_weight[row, page, hop] = np.float32(1.0 if is_speech and voice_mark[row] != _SILENCE else 0.0)
        held_position[row, page, hop] = start_sample[row]
        hops[row] += 1
        if hops[row] % STEP_HOPS == 0:
            is_waiting[row] = True
            is_quiet[row] = not held_speech[row, page].any()
            complete[count] = row
            count += 1
    return count
