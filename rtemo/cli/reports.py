"""Reports: the results of a batch, one line of JSON per stream as soon as it ends."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from rtemo.api import Counters, Event, Fault, Rank, Rationale, SessionStart, StreamEnd, StreamFormat
from rtemo.api.text import shown
from rtemo.cli.tally import Tally
from rtemo.cluster.together import counters_together
from rtemo.io.sources.files import FileTrack

_DIGITS = 4


class Reports:
    """A publisher that adds up each stream and writes its report when it ends.

    Args:
        tracks: (call, channel) → which file and channel it came from.
        hand_on: Takes the name of a call and the lines of all its channels, as UTF-8 whatever a terminal takes.
        enhanced: Sound file → where its processed audio is written, if it is.

    Attributes:
        faults: What broke, if anything did.
        failure: Why nothing more could be written; None while all is well.
        lost: What was lost on the way, all streams together.
    """

    name = "reports"

    def __init__(
        self,
        tracks: Mapping[tuple[str, str], FileTrack],
        hand_on: Callable[[str, bytes], None],
        enhanced: Mapping[Path, Path] | None = None,
    ) -> None:
        self.faults: list[Fault] = []
        self.failure: OSError | None = None
        self._tracks = tracks
        self._hand_on = hand_on
        self._enhanced = {} if enhanced is None else enhanced
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._waiting: dict[str, dict[int, dict[str, Any]]] = {}
        self.lost = Counters()
        self._sample_rate_hz = 16_000

    def open(self) -> None:
        """Do nothing: the file is open already."""

    def publish(self, events: Sequence[Event]) -> None:
        """Add up events; write the report of every stream that ends.

        Raises:
            OSError: A report cannot be written; `failure` says so too.
        """
        for event in events:
            if isinstance(event.data, Fault):
                self.faults.append(event.data)
            elif isinstance(event.data, SessionStart):
                self._sample_rate_hz = event.data.sample_rate_hz
            if not event.call:
                continue
            key = (event.call, event.channel)
            tally = self._tallies.setdefault(key, Tally())
            tally.add(event)
            if isinstance(event.data, StreamEnd):
                del self._tallies[key]
                self.lost = counters_together([self.lost, tally.counters])
                self._finish(key, tally)

    def tick(self) -> None:
        """Do nothing: reports go out when streams end."""

    def close(self) -> None:
        """Write what waits for channels that never came, and flush."""
        for call in list(self._waiting):
            self._write(call, self._waiting.pop(call))

    def _finish(self, key: tuple[str, str], tally: Tally) -> None:
        """Keep a report until all channels of its file are there, so that they stand together and in order."""
        call, channel = key
        track = self._tracks.get(key)
        reports = self._waiting.setdefault(call, {})
        report = report_of(tally, track, channel, self._sample_rate_hz)
        if track is not None and track.path in self._enhanced:
            report["enhanced"] = shown(self._enhanced[track.path])
        reports[track.channel_index if track else len(reports)] = report
        if track is None or len(reports) == track.heard_channels:
            self._write(call, self._waiting.pop(call))

    def _write(self, call: str, reports: Mapping[int, dict[str, Any]]) -> None:
        lines = (msgspec.json.encode(report) + b"\n" for _, report in sorted(reports.items()))
        try:
            self._hand_on(call, b"".join(lines))
        except OSError as error:
            self.failure = error
            raise


def report_of(tally: Tally, track: FileTrack | None, channel: str, sample_rate_hz: int = 16_000) -> dict[str, Any]:
    """Make the report of one stream.

    Args:
        tally: What its events added up to.
        track: Which file and channel it came from, if known.
        channel: Name of the channel.
        sample_rate_hz: Rate of the positions in its events.

    Returns:
        file, channel, duration_s, speech_s, emotion (label → probability over the speech, or null when no turn was
        rated), arousal, valence, rated_by (plugin → speech that it rated, in s), counters; role and analysis where the
        policy let no more than the timing be told; is_estimate where the parties of one channel were told apart by
        their voices;
        spoof (score and verdict at the end, alarms on the way), rank (attribute → what it was at the end), alerts
        (rule → how often), tones (name → how often), digits that were dialled, quality (what is wrong with the
        sound → in words), parties (speech put to each who shares the line, and to nobody: an estimate), queries (what
        was asked → where the voice was nearest to it), words (what was said in each turn) and rationales (of every
        turn: start_s, end_s, label, text, verified_share) where a plugin provided them.
    """
    report: dict[str, Any] = {
        "file": shown(track.path) if track else "",
        "channel": channel,
        "duration_s": round(tally.duration_s, _DIGITS),
        "speech_s": round(tally.speech_s, _DIGITS),
        "turns": tally.turns,
        "emotion": {label: round(share, _DIGITS) for label, share in tally.emotion.items()} or None,
        "arousal": None if tally.arousal is None else round(tally.arousal, _DIGITS),
        "valence": None if tally.valence is None else round(tally.valence, _DIGITS),
        "rated_by": {plugin: round(rated_s, _DIGITS) for plugin, rated_s in tally.rated_by.items()},
        "counters": msgspec.to_builtins(tally.counters),
        "end": tally.end_reason,
    }
    if tally.is_timing:
        report["role"], report["analysis"] = tally.role, "timing"
    if tally.is_estimate:
        report["is_estimate"] = True
    if tally.spoof is not None:
        report["spoof"] = {
            "score": round(tally.spoof.score, _DIGITS),
            "verdict": tally.spoof.verdict,
            "alarms": tally.alarms,
        }
    if tally.ranks:
        report["rank"] = {name: _rank(rank) for name, rank in tally.ranks.items()}
        report["changes"] = tally.changes
    if tally.alerts:
        report["alerts"] = tally.alerts
    if tally.tones:
        report["tones"] = tally.tones
    if tally.digits:
        report["digits"] = tally.digits
    if tally.quality:
        report["quality"] = tally.quality
    if tally.party is not None:
        report["speech_by_party"] = {
            "speech_s": [round(value, _DIGITS) for value in tally.party.known_s],
            "unsure_s": round(tally.party.unsure_s, _DIGITS),
            "is_estimate": True,
        }
    if tally.queries:
        report["queries"] = {
            query: {"score": round(score, _DIGITS), "at_s": round(at_sample / sample_rate_hz, _DIGITS)}
            for query, (score, at_sample) in tally.queries.items()
        }
    if tally.texts:
        report["words"] = [
            {
                "start_s": round(start_sample / sample_rate_hz, _DIGITS),
                "end_s": round(end_sample / sample_rate_hz, _DIGITS),
                "text": said.text,
                "language": said.language,
            }
            for start_sample, end_sample, said in tally.texts
        ]
    if tally.rationales:
        report["rationales"] = [_rationale(event) for _, event in sorted(tally.rationales.items())]
    return report


def _rationale(event: Event) -> dict[str, Any]:
    """When a turn was, how it sounded and why."""
    data = event.data
    assert isinstance(data, Rationale)
    rate_hz = StreamFormat().sample_rate_hz
    said: dict[str, Any] = {
        "start_s": round(event.start_sample / rate_hz, _DIGITS),
        "end_s": round(event.end_sample / rate_hz, _DIGITS),
        "label": data.label,
        "text": data.text,
        "verified_share": data.verified_share,
    }
    if data.text_label:
        said["text_label"] = data.text_label
    if data.is_disagreeing:
        said["is_disagreeing"] = True
    return said


def _rank(rank: Rank) -> dict[str, Any]:
    """What is worth keeping of the last rank: what it is about stands in the report already."""
    fields = ("score", "spread", "percentile", "anchor_percentile", "trend_per_min", "p_rising")
    return {name: getattr(rank, name) for name in fields}
