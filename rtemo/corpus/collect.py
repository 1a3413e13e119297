"""CollectSink: keeps turns of live calls that are worth rating, of those who have consented and of nobody else."""

import csv
import hashlib
import io
import queue
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from rtemo.api import ConfigError, Emotion, Event, ProcessedBlock, StreamFacts, StreamFormat, read_consent
from rtemo.api.consent import Consent, ConsentError
from rtemo.corpus.files import write_samples
from rtemo.corpus.settings import RATE_HZ
from rtemo.io.whole_file import write_whole

SOURCES_FILE = "sources.csv"
_HELD_S = 20.0
_WAITING = 1024
_DRAWN_EVERY = 10
_PLAIN = ("neutral", "calm")
_COLUMNS = ("path", "licence", "source")


class CollectOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where turns are kept, by whose consent, and how many."""

    folder: Annotated[str, Meta(description="Folder that turns are written to; there is none without it.")] = ""
    consents: Annotated[
        str,
        Meta(description="CSV file with call,who,when: calls that may be kept (one that ends with * is a prefix)."),
    ] = ""
    least_s: Annotated[float, Meta(gt=0, le=60, description="Shortest turn, in s.")] = 2.75
    longest_s: Annotated[float, Meta(gt=0, le=15, description="Longest turn, in s.")] = 11.0
    unsure_below: Annotated[
        float, Meta(ge=0, le=1, description="Confidence below which a turn is worth rating whatever its emotion.")
    ] = 0.5
    most: Annotated[int, Meta(ge=1, le=1_000_000, description="Turns kept at most in one run.")] = 1000


class Consents:
    """Who has consented to have turns of which calls kept; read again when the file changes.

    Args:
        path: A CSV file with the columns call, who and when (a date).

    Raises:
        ConfigError: It cannot be read.
        ConsentError: A line tells no name or no date.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = (0, 0)
        self._of: dict[str, Consent] = {}
        self._read()

    def of(self, call: str) -> Consent | None:
        """Give the consent for a call; None without one."""
        if call in self._of:
            return self._of[call]
        return next((one for name, one in self._of.items() if name.endswith("*") and call.startswith(name[:-1])), None)

    def read_again(self) -> None:
        """Read the file if it has changed; one that makes no sense lets nothing be kept until it is mended."""
        try:
            found = self._path.stat()
            if (found.st_mtime_ns, found.st_size) != self._stamp:
                self._read()
        except (OSError, ConfigError, ConsentError):
            self._of, self._stamp = {}, (0, 0)

    def _read(self) -> None:
        try:
            found = self._path.stat()
            with self._path.open(newline="", encoding="utf-8-sig") as file:
                rows = list(csv.DictReader(file))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            mend = "write a CSV file with the columns call,who,when"
            raise ConfigError(f"consents {self._path} cannot be read ({error})", mend) from None
        self._of = {}
        for row in rows:
            call = (row.get("call") or "").strip()
            if not call or call == "*":
                raise ConfigError(
                    f"consents {self._path}: a line names no call", "name each call, or a prefix like a-*"
                )
            self._of[call] = read_consent(f"{row.get('who') or ''}, {(row.get('when') or '').strip()}")
        self._stamp = (found.st_mtime_ns, found.st_size)


class _Proposal(NamedTuple):
    call: str
    channel: str
    start_sample: int
    end_sample: int
    why: str


class CollectSink:
    """Listens to events and audio of consented calls; writes a WAV file for each turn that is worth rating.

    Worth rating is what is neither neutral nor calm, or of what the recogniser is not sure; and every tenth of the
    rest, so that a corpus does not hold only what recognisers hear. The folder has a `sources.csv` with the consent of
    every file, and both go into `rtemo corpus build FOLDER --sources FOLDER/sources.csv`. Streams that may not be
    analysed are never kept, whatever the list says. Audio is kept as it came in, unless another sink has it enhanced.

    Args:
        options: Where, by whose consent, how many.

    Attributes:
        publisher: The end that hears events.
        kept: Turns written.
        overrun_samples: Always 0: what is not held any more when its turn is told is not kept.
        underrun_samples: Always 0.
    """

    name = "collect"
    options_type: ClassVar[type[CollectOptions]] = CollectOptions
    overrun_samples = 0
    underrun_samples = 0

    def __init__(self, options: CollectOptions | None = None) -> None:
        self._options = options or CollectOptions()
        if not self._options.folder:
            raise ConfigError("the sink 'collect' has no folder", "set sinks.collect.folder, or serve --collect DIR")
        self._folder = Path(self._options.folder)
        self._consents = Consents(Path(self._options.consents or self._folder / "consents.csv"))
        self._waiting: queue.Queue[_Proposal] = queue.Queue(_WAITING)
        self._late: list[_Proposal] = []
        self._held: dict[tuple[str, str], deque[tuple[int, NDArray[np.float32]]]] = {}
        self._ended_s: dict[tuple[str, str], float] = {}
        self._rows: list[dict[str, str]] = []
        self._count = 0
        self.kept = 0
        self.publisher = _Ears(self)

    def wants(self, stream: StreamFacts) -> bool:
        """Want nothing to be enhanced: people are to hear what was said as it was."""
        return False

    def open(self, format: StreamFormat) -> None:
        """Make the folder.

        Raises:
            ConfigError: The rate is another, or the folder belongs to something else.
        """
        if format.sample_rate_hz != RATE_HZ:
            raise ConfigError(f"collect keeps {RATE_HZ} Hz, the engine gives another rate", "leave the sink out")
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / SOURCES_FILE
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                self._rows = [{key: row.get(key) or "" for key in _COLUMNS} for row in csv.DictReader(file)]

    def write(self, block: ProcessedBlock) -> None:
        """Hold the last seconds of consented streams."""
        most = round(_HELD_S * RATE_HZ)
        for row, stream in enumerate(block.streams):
            if stream.analysis != "person" or self._consents.of(stream.call) is None:
                continue
            start, samples = block.audio(row)
            key = stream.call, stream.channel
            held = self._held.setdefault(key, deque())
            if key in self._ended_s:  # another of the same name
                del self._ended_s[key]
                held.clear()
            held.append((start, samples))
            while held[-1][0] - held[0][0] > most:
                held.popleft()
            if block.is_last[row]:
                self._ended_s[key] = time.monotonic()
        self._cut()

    def tick(self) -> None:
        """Write turns whose audio is there, and read the list again when it has changed."""
        self._consents.read_again()
        self._cut()
        now_s = time.monotonic()
        for key in list(self._held):
            if self._consents.of(key[0]) is None or now_s - self._ended_s.get(key, now_s) > _HELD_S:
                del self._held[key]
                self._ended_s.pop(key, None)

    def close(self) -> None:
        """Write what is still to be written, and forget all audio."""
        self._cut()
        self._held.clear()

    def propose(self, event: Event) -> None:
        """Take a final estimate; on the publish thread."""
        data = event.data
        assert isinstance(data, Emotion)
        length_s = (event.end_sample - event.start_sample) / RATE_HZ
        if not self._options.least_s <= length_s <= self._options.longest_s:
            return
        self._count += 1
        top = max(data.probabilities, key=data.probabilities.__getitem__, default="")
        if data.confidence < self._options.unsure_below:
            why = "unsure"
        elif top not in _PLAIN:
            why = top
        elif self._count % _DRAWN_EVERY == 0:
            why = "drawn"
        else:
            return
        if not self._waiting.full():
            self._waiting.put(_Proposal(event.call, event.channel, event.start_sample, event.end_sample, why))

    def _cut(self) -> None:
        while not self._waiting.empty():
            self._late.append(self._waiting.get())
        left = []
        for one in self._late:
            held = self._held.get((one.call, one.channel))
            consent = self._consents.of(one.call)
            if held is None or consent is None or self.kept >= self._options.most or held[0][0] > one.start_sample:
                continue
            if held[-1][0] + len(held[-1][1]) < one.end_sample:
                if (one.call, one.channel) not in self._ended_s:
                    left.append(one)
            else:
                self._keep(one, held, consent)
        self._late = left

    def _keep(self, one: _Proposal, held: Sequence[tuple[int, NDArray[np.float32]]], consent: Consent) -> None:
        samples = np.zeros(one.end_sample - one.start_sample, np.float32)
        for start, part in held:
            first, last = max(start, one.start_sample), min(start + len(part), one.end_sample)
            if first < last:
                samples[first - one.start_sample : last - one.start_sample] = part[first - start : last - start]
        # The name tells no call: it may be somebody's number.
        name = hashlib.sha256(f"{one.call}/{one.channel}/{one.start_sample}".encode()).hexdigest()[:16] + ".wav"
        write_samples(self._folder / name, samples, RATE_HZ)
        self._rows = [row for row in self._rows if row["path"] != name]
        self._rows.append({"path": name, "licence": f"consent: {consent}", "source": f"live, {one.why}"})
        text = io.StringIO()
        writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        write_whole(self._folder / SOURCES_FILE, text.getvalue().encode())
        self.kept += 1


class _Ears:
    """The publisher's end."""

    name = "collect"

    def __init__(self, sink: CollectSink) -> None:
        self._sink = sink

    def open(self) -> None:
        """Do nothing: the sink opens."""

    def publish(self, events: Sequence[Event]) -> None:
        """Hand over what is final."""
        for event in events:
            if isinstance(event.data, Emotion) and event.data.is_final and event.data.is_trusted:
                self._sink.propose(event)

    def tick(self) -> None:
        """Do nothing: the sink ticks."""

    def close(self) -> None:
        """Do nothing: the sink closes."""
