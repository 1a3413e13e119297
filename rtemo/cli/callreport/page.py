"""Page: a report as one HTML file that needs nothing else: no script, no font, no picture or sound from elsewhere."""

import base64
import html
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import rtemo
from rtemo.api import EMOTIONS
from rtemo.api.text import plain
from rtemo.cli.callreport.charts import colours, course, hue_of, lane, moods_of, rank_course
from rtemo.cli.callreport.record import CallRecord, Line, Party, Span, overlaps
from rtemo.cli.callreport.story import clock, shares_of, summary, tensest, unsure

if TYPE_CHECKING:
    from rtemo.cli.callreport.excerpts import Excerpts

_TICKS = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
_MOST_TICKS = 9
_MOST_LINES = 2000
_MOST_MOODS = 400
_FOOT = (
    "Arousal and valence run from \u22121 to 1; a dot is an estimate, the line the mean of the ten seconds around it, "
    "its band how much they vary. Rank is in standard deviations of the training clips; its band is the standard "
    "deviation of its error. Tension is half the arousal less half the valence."
)


def page(record: CallRecord, source: str, made: datetime, excerpts: "Excerpts | None" = None) -> str:
    """Write the report of a call.

    Args:
        record: What was gathered.
        source: Where it comes from, for the head.
        made: When.
        excerpts: Sound of the tensest stretches, if the page is to hold any.
    """
    total_s = record.duration_s or 1.0
    title = plain(record.call) or "call"
    parts = [
        f"<h1>{_text(title)}</h1>",
        f'<p class="made">{_text(source)} · {clock(record.duration_s)} · report of {made:%Y-%m-%d %H:%M}</p>',
        f'<p class="summary">{_text(summary(record))}</p>',
        '<p class="advice"><b>Advice to a person, often wrong.</b> It tells how voices are perceived, not what people '
        "feel. It is not for hiring, pay, discipline, credit, housing or education.</p>",
        _shares(record),
        "<h2>The call</h2>",
        *(_party(party, record, total_s) for party in record.parties.values()),
        _key(record),
        _tense(record, excerpts),
        _table("Alerts", record.alerts, "No rule was met." if _is_rated(record) else ""),
        _table("Changes", record.changes, ""),
        _table("Words", record.words, ""),
        _table("Why it sounds so", sorted(record.reasons.values()), ""),
        _unsure(record),
        f"<footer>Made by rtemo {rtemo.__version__}. {_FOOT}</footer>",
    ]
    style = colours() + (Path(__file__).parent / "report.css").read_text()
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    if excerpts is not None and excerpts.sounds:
        policy += "; media-src data:"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{_text(title)} · rtemo</title><style>{style}</style></head><body><main>"
        f"{''.join(parts)}</main></body></html>\n"
    )


def _text(value: str) -> str:
    return html.escape(plain(value))


def _is_rated(record: CallRecord) -> bool:
    return any(party.estimates for party in record.parties.values())


def _shares(record: CallRecord) -> str:
    shares = shares_of(record)
    bars = [f'<i class="share" style="flex:{share:.4f}"></i>' for share in shares.by_party.values()]
    figures = [(name, share, ' class="share"') for name, share in shares.by_party.items()]
    if len(record.parties) > 1:
        figures.append(("both at once" if len(record.parties) == 2 else "several at once", shares.overlap, ""))
    figures.append(("silence", shares.silence, ""))
    rest = max(0.0, 1 - sum(shares.by_party.values()))
    cells = "".join(f"<div{kind}><dt>{_text(name)}</dt><dd>{share:.0%}</dd></div>" for name, share, kind in figures)
    return (
        f'<h2>Who speaks</h2><div class="shares" aria-hidden="true">{"".join(bars)}'
        f'<span style="flex:{rest:.4f}"></span></div><dl class="figures">{cells}</dl>'
    )


def _party(party: Party, record: CallRecord, total_s: float) -> str:
    others = overlaps(list(record.parties.values()))
    tally = party.tally
    facts = [f"speaks {clock(party.speech_s)} in {tally.turns} turns"]
    if party.is_timed_only:
        facts.append("timing only, by policy")
    elif tally.rated_s:
        facts.append(f"arousal {_signed(tally.arousal)}, valence {_signed(tally.valence)} over the call")
    if party.spoof is not None:
        words = {"spoof": "may be synthetic", "unknown": "cannot be told", "bona_fide": "no sign of a synthetic one"}
        facts.append(f"voice: {words.get(party.spoof.verdict, party.spoof.verdict)}")
    rows = [_chart("speech", "in the colour of its mood", lane(party, others, total_s, moods_of(party)))]
    if party.estimates:
        rows.append(_chart("arousal", "subdued to aroused", course(party.estimates, "arousal", total_s)))
        rows.append(_chart("valence", "displeased to pleased", course(party.estimates, "valence", total_s)))
    rows += [
        _chart(f"rank of {name}", "against voices at large", rank_course(ranks, total_s))
        for name, ranks in party.ranks.items()
        if len(ranks) > 1
    ]
    marks = "".join(
        f'<span style="left:{_percent(line.at_s, total_s)}%" title="{_text(line.text)}">▲</span>'
        for line in record.alerts
        if line.party == party.name
    )
    marks = f'<div class="marks" aria-hidden="true">{marks}</div>' if marks else ""
    return (
        f'<section class="panel"><header><h3>{_text(party.name)}</h3><span>{_text("; ".join(facts))}</span></header>'
        f"{''.join(rows)}{marks}{_axis(total_s)}{_in_words(party)}</section>"
    )


def _in_words(party: Party) -> str:
    """Say what the colours show."""
    runs: list[tuple[float, str]] = []
    for span, label in moods_of(party):
        if not runs or runs[-1][1] != label:
            runs.append((span.start_s, label))
    if not runs:
        return ""
    said = ", ".join(f"{clock(at_s)} {_text(label)}" for at_s, label in runs[:_MOST_MOODS])
    more = ", \u2026" if len(runs) > _MOST_MOODS else ""
    return f"<details><summary>Moods in words</summary><p>{said}{more}</p></details>"


def _chart(name: str, what: str, svg: str) -> str:
    kind = " lane" if name == "speech" else ""
    return f'<div class="chart{kind}"><small><b>{_text(name)}</b>{_text(what)}</small>{svg}</div>'


def _axis(total_s: float) -> str:
    longest_s = 3600 * (1 + int(total_s / 3600 / _MOST_TICKS))  # whole hours, however long a file says that a call is
    step_s = next((step for step in _TICKS if total_s / step <= _MOST_TICKS), longest_s)
    ticks = [float(tick) for tick in range(0, int(total_s), step_s)]
    if len(ticks) > 1 and total_s - ticks[-1] < step_s * 0.6:
        ticks.pop()
    spans = [f'<span style="left:{_percent(tick, total_s)}%">{clock(tick)}</span>' for tick in (*ticks, total_s)]
    return f'<div class="axis" aria-hidden="true">{"".join(spans)}</div>'


def _percent(at_s: float, total_s: float) -> str:
    return f"{min(1.0, at_s / total_s) * 100:.2f}"


def _key(record: CallRecord) -> str:
    seen = {estimate.label for party in record.parties.values() for estimate in party.estimates}
    if not seen:
        return ""
    known = (*EMOTIONS, "unsure")
    shown = [*(label for label in known if label in seen), *sorted(seen.difference(known))]
    spans = "".join(
        f'<span class="mood-{hue_of(label)}" style="--hue:var(--{hue_of(label)})">{_text(label)}</span>'
        for label in shown
    )
    spans += '<span class="both">below a turn: somebody else speaks too</span>'
    return f'<p class="key">{spans}</p>'


def _tense(record: CallRecord, excerpts: "Excerpts | None") -> str:
    found = tensest(record)
    if not found:
        return ""
    sounds = {} if excerpts is None else dict(excerpts.sounds)
    rows = "".join(
        f"<tr><td>{clock(one.span.start_s)}\u2013{clock(one.span.end_s)}</td><td>{_text(one.party)}</td>"
        f"<td>{_text(one.label)}</td><td>{_signed(one.tension)}</td></tr>"
        f"{_player(one.span, sounds.pop(one.span, b''))}"  # of a stretch in which two are tense, once
        for one in found
    )
    head = "<tr><th>when</th><th>who</th><th>sounds mostly</th><th>tension</th></tr>"
    said = "" if excerpts is None else f'<p class="heard">{_text(_who_is_heard(excerpts))}</p>'
    return f'<h2>Tensest</h2><div class="panel"><table class="tense">{head}{rows}</table>{said}</div>'


def _player(span: Span, mp3: bytes) -> str:
    if not mp3:
        return ""
    what = f"{clock(span.start_s)} to {clock(span.end_s)}, as sound"
    data = base64.b64encode(mp3).decode()
    return (
        f'<tr class="sound"><td colspan="4"><audio controls preload="metadata" aria-label="{what}" '
        f'src="data:audio/mpeg;base64,{data}"></audio></td></tr>'
    )


def _who_is_heard(excerpts: "Excerpts") -> str:
    if not excerpts.heard:
        return "Nothing of it can be heard: the policy lets nobody on these channels be more than timed."
    if not excerpts.sounds:
        return f"Nothing of it can be heard: the recording {excerpts.truncation or 'ends before'}."
    left_out = f"; left out: {', '.join(excerpts.unheard)}, by policy" if excerpts.unheard else ""
    return f"Whoever has this page hears {', '.join(excerpts.heard)}{left_out}."


def _table(title: str, lines: Sequence[Line], otherwise: str) -> str:
    if not lines:
        return f"<h2>{title}</h2><p>{otherwise}</p>" if otherwise else ""
    rows = "".join(
        f"<tr><td>{clock(line.at_s)}</td><td>{_text(line.party)}</td><td>{_text(line.text)}"
        f"{f' <small>{_text(line.note)}</small>' if line.note else ''}</td></tr>"
        for line in sorted(lines)[:_MOST_LINES]
    )
    return f'<h2>{title}</h2><div class="panel"><table>{rows}</table></div>'


def _unsure(record: CallRecord) -> str:
    return f"<h2>What is unsure</h2>{_list(unsure(record))}"


def _list(items: Iterable[str]) -> str:
    lines = "".join(f"<li>{_text(item)}</li>" for item in items)
    return f'<ul class="panel" style="padding-left:36px">{lines}</ul>' if lines else "<p>Nothing that was noticed.</p>"


def _signed(value: float | None) -> str:
    return "\u2013" if value is None else f"{value:+.2f}".replace("-", "\u2212")
