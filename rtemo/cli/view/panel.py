"""The panel of one stream: lamp, level, emotions, trend, voice."""

from collections.abc import Mapping, Sequence

from rich.cells import cell_len

from rtemo.api import EMOTIONS, Emotion
from rtemo.api.emotions import as_told
from rtemo.cli.view.bars import bar, buckets, mirrored, sparkline
from rtemo.cli.view.line import Line, beside, boxed, spread
from rtemo.cli.view.numbers import clock, signed
from rtemo.cli.view.palette import EMOTION_COLOURS
from rtemo.cli.view.plain import best_label, clean
from rtemo.cli.view.state import StreamView

WIDE_CELLS = 64
"""Width from which the trend stands beside the emotions instead of under them."""
NARROW_LINES = 19
WIDE_LINES = 14
LEAST_CELLS = 36

_TOLD = tuple(as_told(dict.fromkeys(EMOTIONS, 0.0)))
_ROW_CELLS = 65  # what stands in a row beside the name
_FLOOR_DBFS = -60.0
_LABEL_CELLS = 9
_STEADY = 0.08
_EVEN = 0.2
_ROOMY_CELLS = 44
_STEADY_PER_MIN = 0.5
_SPARK_CELLS = 16
_LEAST_QUERY_CELLS = 10
_LEAST_SPARK_CELLS = 5
_SPARK_RANGE = 2.5  # standard deviations at the top of a sparkline


def panel(stream: StreamView, name: str, width: int, trend_s: float) -> list[Line]:
    """Draw a stream in a box of `width` cells; `WIDE_LINES` or `NARROW_LINES` high."""
    inner = width - 4
    is_wide = width >= WIDE_CELLS
    body = [*_status(stream, inner, is_wide), _words(stream, inner), _why(stream, inner)]
    if is_wide:
        left = inner * 11 // 20
        right = inner - left - 3
        body += beside([_emotions(stream, left), _facts(stream, right, trend_s, is_wide)], [left, right], gap=3)
    else:
        body += [*_emotions(stream, inner), Line(), *_facts(stream, inner, trend_s, is_wide)]
    title = Line().put(" ").put_name(name, inner - 12, "bold").put(" ")
    foot = Line().put(f" {clock(stream.position_s)} ", "dim")
    return boxed(body, width, title, foot, "frame_speech" if stream.is_speaking else "frame")


def row(stream: StreamView, name: str, width: int) -> Line:
    """Draw a stream as one line, for when there are too many for panels."""
    name_cells = max(12, width - _ROW_CELLS)
    is_alarmed = stream.tally.spoof is not None and stream.tally.spoof.is_alarmed
    line = Line().join(lamp(stream, short=True)).put(*(("!", "trouble") if is_alarmed else (" ", "")))
    line.put_name(name, name_cells).pad(name_cells + 3)
    level = stream.level.rms_dbfs if stream.level and not stream.is_ended else _FLOOR_DBFS
    filled, empty = bar(1 - level / _FLOOR_DBFS, 6)
    line.put(filled, "good").put(empty, "track").put("  ")
    emotion = stream.emotion
    if emotion is None:
        return line.put("timing only" if stream.is_timed_only else "listening", "dim").pad(width)
    best, share = _best(emotion)
    line.put(f"{_named(emotion, best)[:11]:<11}", f"{best}_bold" if best in EMOTION_COLOURS else "bold")
    filled, empty = bar(share, 8)
    line.put(filled, best if best in EMOTION_COLOURS else "").put(empty, "track").put(f" {share:4.0%}")
    line.put("  arousal ", "dim").put(signed(emotion.arousal)).put("  valence ", "dim").put(signed(emotion.valence))
    return line.pad(width)


def lamp(stream: StreamView, short: bool = False) -> Line:
    """Say by shape, word and colour whether somebody speaks."""
    if stream.is_ended:
        sign, word, style = "■", "ended", "dim"
    elif stream.source is not None:
        sign, word, style = "✕", "source lost", "trouble"
    elif stream.is_speaking:
        sign, word, style = "●", f"SPEECH {stream.position_s - stream.speech_from_s:4.1f} s", "speech"
    elif stream.is_speaking is None:
        sign, word, style = "◌", "waiting", "dim"
    else:
        sign, word, style = "○", "silence", "dim"
    return Line().put(sign if short else f"{sign} {word}", style)


def _status(stream: StreamView, width: int, is_wide: bool) -> list[Line]:
    level = stream.level if not stream.is_ended else None
    reading = Line()
    if level is None:
        reading.put("timing only" if stream.is_timed_only else "no level yet", "dim")
    else:
        if level.clipped_ratio > 0:
            reading.put("! clipped ", "trouble")
        reading.put(f"{_dbfs(level.rms_dbfs)} dBFS").put(f"  peak {_dbfs(stream.peak_dbfs)}", "dim")
    if not is_wide:
        return [spread(lamp(stream), reading, width), meter(stream, width)]
    head = Line().join(lamp(stream)).pad(17)
    return [head.join(meter(stream, width - 17 - reading.width - 2)).put("  ").join(reading)]


def _why(stream: StreamView, width: int) -> Line:
    """The rationale of the last turn; an empty line where there is none."""
    rationale = stream.rationale
    if rationale is None:
        return Line()
    style = "trouble" if rationale.is_disagreeing else "dim"
    return Line().put_name(rationale.text, width, style)


def meter(stream: StreamView, width: int) -> Line:
    """Draw level and held peak on a scale of -60 to 0 dBFS; green to -18, amber to -6, red above."""
    line = Line()
    if width < 4:
        return line
    level = stream.level if not stream.is_ended else None
    filled = 0 if level is None else _cells(level.rms_dbfs, width)
    peak = -1 if level is None else _cells(stream.peak_dbfs, width) - 1
    warm, hot = _cells(-18.0, width), _cells(-6.0, width)
    for low, high, style in ((0, warm, "good"), (warm, hot, "warm"), (hot, width, "hot")):
        cells = ["━" if cell < filled else "─" for cell in range(low, high)]
        if low <= peak < high:
            cells[peak - low] = "┃"
        text = "".join(cells)
        lit = max(0, min(filled, high) - low)
        if low <= peak < high and peak >= filled:
            dark = peak - low
            line.put(text[:lit], style).put(text[lit:dark], "track").put("┃", style).put(text[dark + 1 :], "track")
        else:
            line.put(text[:lit], style).put(text[lit:], "track")
    return line


def _emotions(stream: StreamView, width: int) -> list[Line]:
    """A bar for each, and below them who has told it, where there is room."""
    emotion = stream.emotion
    best = _best(emotion)[0] if emotion else ""
    rows = []
    told = as_told(emotion.probabilities) if emotion else {}
    for label in _labels(told):
        share = told.get(label, 0.0)
        is_best = label == best
        mark = "  " if not is_best or emotion is None else "▶ " if emotion.label == best else "? "
        colour = label if label in EMOTION_COLOURS else ""
        strong = f"{label}_bold" if is_best and colour else colour
        filled, empty = bar(share, width - 2 - _LABEL_CELLS - 6)
        line = Line().put(mark, strong).put(f"{label[:_LABEL_CELLS]:<{_LABEL_CELLS}}", strong if is_best else "dim")
        line.put(" ").put(filled, strong).put(empty, "track")
        line.put(f" {share:4.0%}" if emotion else "   · ", strong if is_best else "dim")
        rows.append(line)
    if len(rows) < len(EMOTIONS):
        rows.append(Line().put("  by ", "dim").put_name(stream.emotion_by, width - 5, "dim") if emotion else Line())
    return rows


def _facts(stream: StreamView, width: int, trend_s: float, is_wide: bool) -> list[Line]:
    emotion = stream.emotion
    rows = []
    for name, index, words in (
        ("arousal", 1, ("calm", "even", "excited")),
        ("valence", 2, ("negative", "even", "positive")),
    ):
        value = None if emotion is None else (emotion.arousal, emotion.valence)[index - 1]
        points = [(point[0], point[index]) for point in stream.trend]
        head = Line().put(f"{name:<9}", "dim").put(*(("·", "dim") if value is None else (signed(value), "bold")))
        if not is_wide:
            head.pad(16)
            cells = buckets(points, stream.position_s, trend_s, max(width - head.width, 1))
            rows.append(head.put(sparkline(cells), "rising"))
            continue
        if value is not None:
            head.put(f"  {words[1 + (value > _EVEN) - (value < -_EVEN)]}")
        upper, lower = mirrored(buckets(points, stream.position_s, trend_s, width))
        rows += [
            spread(head, Line().put(_slope(points, stream.position_s), "dim"), width),
            _upper(upper),
            _lower(lower),
        ]
    return [
        *rows,
        _finding(stream, width, trend_s),
        _queries(stream, width) if stream.queries else _voice(stream, width),
    ]


def _words(stream: StreamView, width: int) -> Line:
    """What is said, its end if there is no room for all; dim what may still change."""
    line, words = Line(), stream.words
    if words is None:
        return line
    text = clean(words.text)
    cut = 0
    while cell_len(text) - cell_len(text[:cut]) > width - 2 and cut < len(text):
        blank = text.find(" ", cut)
        cut = cut + 1 if blank < 0 else blank + 1
    stable = min(max(words.stable_chars, cut), len(text)) if len(text) == len(words.text) else cut
    line.put("… " if cut else "", "dim")
    return line.put_name(text[cut:stable], width - line.width).put_name(text[stable:], width - line.width, "dim")


def _queries(stream: StreamView, width: int) -> Line:
    """What the voice is nearest to of what was asked; it takes the place of the facts of the voice."""
    line = Line().put("like  ", "dim")
    best = sorted(stream.queries.values(), key=lambda one: -(one.score if one.z is None else one.z))
    for one in best:
        value = f" {signed(one.score if one.z is None else one.z)}{'' if one.z is None else ' z'}"
        room = width - line.width - len(value) - 2
        if room < _LEAST_QUERY_CELLS:
            break
        line.put_name(one.query, room, "bold" if one is best[0] else "dim").put(value).put("  ")
    return line


def _upper(cells: Sequence[tuple[str, bool]]) -> Line:
    line = Line()
    for text, _ in cells:
        line.put(*(("▁", "track") if text == " " else (text, "rising")))  # the zero line runs along its foot
    return line


def _lower(cells: Sequence[tuple[str, bool]]) -> Line:
    line = Line()
    for text, is_reverse in cells:
        line.put(text, "falling_on" if is_reverse else "falling")
    return line


def _slope(points: Sequence[tuple[float, float]], now_s: float) -> str:
    """Compare the last five seconds with the five before; empty when either is unknown."""
    late = [value for at_s, value in points if now_s - 5 < at_s]
    early = [value for at_s, value in points if now_s - 10 < at_s <= now_s - 5]
    if not late or not early:
        return ""
    change = sum(late) / len(late) - sum(early) / len(early)
    return "rising ↗" if change > _STEADY else "falling ↘" if change < -_STEADY else "steady →"


def _finding(stream: StreamView, width: int, trend_s: float) -> Line:
    line = Line().put("spoof ", "dim")
    spoof, ranks = stream.tally.spoof, stream.tally.ranks
    if spoof is None:
        line.put("·", "dim")
    else:
        sign, style = {"spoof": ("!", "trouble"), "bona_fide": ("✓", "good")}.get(spoof.verdict, ("?", "dim"))
        if spoof.is_alarmed:  # it is about the whole call, so it stands before the verdict on the present voice
            sign, style = "!", "trouble"
        word = "alarm" if spoof.is_alarmed else spoof.verdict.replace("_", " ")
        line.put(f"{sign} {word}", style)
        if width >= _ROOMY_CELLS:
            line.put(f" {signed(spoof.score)}", style)
    line.put("   rank ", "dim")
    if not ranks:
        return line.put("·", "dim")
    rank = next(iter(ranks.values()))
    place = signed(rank.score) if rank.percentile is None else f"{rank.percentile:.0f} %"
    if width >= _ROOMY_CELLS:
        line.put_name(rank.attribute, width - line.width - len(place) - 1, "bold").put(" ")
    line.put(place, "bold")
    arrow, style = trend_arrow(rank.trend_per_min)
    if arrow and line.width + 2 <= width:
        line.put(f" {arrow}", style)
    cells = min(width - line.width - 1, _SPARK_CELLS)
    if cells >= _LEAST_SPARK_CELLS:
        points = [(at_s, score / _SPARK_RANGE) for at_s, score in stream.rank_trend]
        line.put(" ").put(sparkline(buckets(points, stream.position_s, trend_s, cells)), "rising")
    return line


def trend_arrow(trend_per_min: float | None) -> tuple[str, str]:
    """Say by sign and style where a rank is going; empty when that is unknown.

    >>> trend_arrow(1.0)[0], trend_arrow(-1.0)[0], trend_arrow(0.1)[0], trend_arrow(None)[0]
    ('↗', '↘', '→', '')
    """
    if trend_per_min is None:
        return "", ""
    if abs(trend_per_min) < _STEADY_PER_MIN:
        return "→", "dim"
    return ("↗", "rising") if trend_per_min > 0 else ("↘", "falling")


def _voice(stream: StreamView, width: int) -> Line:
    prosody = stream.prosody
    line = Line().put("voice ", "dim")
    if prosody is None:
        return line.put("·", "dim")
    parts = [f"{prosody.pitch_hz:.0f} Hz"] if prosody.pitch_hz is not None else []
    parts.append(f"{prosody.rate_per_s:.1f} syl/s")
    parts.append(f"{prosody.tilt_db_per_octave:.0f} dB/oct")
    for index, part in enumerate(parts):
        text = f"{' · ' if index else ''}{part}"
        if line.width + len(text) <= width:
            line.put(text)
    return line


def _labels(told: Mapping[str, float]) -> Sequence[str]:
    others = [name for name in told if name not in EMOTIONS]  # a bundle may have classes of its own
    known = [name for name in EMOTIONS if name in told] if others else _TOLD
    return [*known, *others][: len(EMOTIONS)]


def _best(emotion: Emotion) -> tuple[str, float]:
    label = best_label(emotion)
    return label, as_told(emotion.probabilities).get(label, 0.0)


def _named(emotion: Emotion, best: str) -> str:
    return best if emotion.label == best else f"{best}?"


def _dbfs(value: float) -> str:
    return f"{max(value, -99.0):3.0f}"


def _cells(level_dbfs: float, width: int) -> int:
    return round(min(max(1 - level_dbfs / _FLOOR_DBFS, 0.0), 1.0) * width)
