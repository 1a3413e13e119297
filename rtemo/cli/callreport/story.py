"""Story: what a report says in words: the summary, the tensest stretches, what was unsure."""

from typing import NamedTuple

from rtemo.api.emotions import as_told
from rtemo.cli.callreport.record import CallRecord, Estimate, Party, Span, length_s, overlaps, united

_TENSE = 3
_MANY_UNSURE = 0.5
_CLEAR = 0.25  # arousal or valence below it is not worth a word


class Tense(NamedTuple):
    """A stretch in which somebody sounds tense: aroused and displeased."""

    span: Span
    party: str
    tension: float
    label: str


class Shares(NamedTuple):
    """How the time of a call is spent."""

    by_party: dict[str, float]
    silence: float
    overlap: float


def clock(at_s: float) -> str:
    """Write a position, as `3:07` or `1:02:03`.

    >>> clock(187.9), clock(3723)
    ('3:07', '1:02:03')
    """
    minutes, seconds = divmod(int(at_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def shares_of(record: CallRecord) -> Shares:
    """Tell who speaks for what share of the call, when nobody does, and when several do."""
    total_s = record.duration_s or 1.0
    parties = list(record.parties.values())
    spoken_s = length_s(united(turn for party in parties for turn in party.turns))
    return Shares(
        {party.name: length_s(united(party.turns)) / total_s for party in parties},
        max(0.0, 1 - spoken_s / total_s),
        length_s(overlaps(parties)) / total_s,
    )


def tension_of(estimate: Estimate) -> float:
    """Tell how tense an estimate is, -1 to 1: half its arousal, less half its valence."""
    return (estimate.arousal - estimate.valence) / 2


def tensest(record: CallRecord) -> list[Tense]:
    """Give the stretches in which somebody sounds tensest, the tensest first; minutes, of a short call less."""
    window_s = 60.0 if record.duration_s >= 300 else 20.0 if record.duration_s >= 60 else 5.0
    found = []
    for party in record.parties.values():
        windows: dict[int, list[Estimate]] = {}
        for estimate in party.estimates:
            if estimate.is_trusted:
                windows.setdefault(int(estimate.at_s // window_s), []).append(estimate)
        for index, estimates in windows.items():
            mean = sum(map(tension_of, estimates)) / len(estimates)
            labels = [estimate.label for estimate in estimates]
            span = Span(index * window_s, min((index + 1) * window_s, record.duration_s))
            found.append(Tense(span, party.name, mean, max(dict.fromkeys(labels), key=labels.count)))
    return sorted((one for one in found if one.tension > 0), key=lambda one: -one.tension)[:_TENSE]


def unsure_share(party: Party) -> float:
    """Tell for what share of its estimates the model did not commit itself to a label."""
    unsure = sum(estimate.label == "unsure" for estimate in party.estimates)
    return unsure / len(party.estimates) if party.estimates else 0.0


def summary(record: CallRecord) -> str:
    """Sum the call up in one paragraph of plain words."""
    shares = shares_of(record)
    said = [f"The call lasts {clock(record.duration_s)}."]
    talk = [f"the {name} speaks for {share:.0%} of it" for name, share in shares.by_party.items() if share > 0]
    if talk:
        said.append(_sentence(_listed(talk)))
    else:
        said.append("Nobody is heard to speak.")
    if len(record.parties) > 1 and shares.overlap >= 0.005:
        said.append(f"They talk at once for {shares.overlap:.0%} of it.")
    if shares.silence >= 0.05:
        said.append(f"For {shares.silence:.0%} nobody speaks.")
    said += [_sounds(party) for party in record.parties.values()]
    tense = tensest(record)
    if tense and record.duration_s > 10:
        said.append(f"It is tensest from {clock(tense[0].span.start_s)} to {clock(tense[0].span.end_s)}.")
    if record.alerts:
        first = record.alerts[0]
        count = len(record.alerts)
        said.append(
            f"{count} alerts were raised, the first at {clock(first.at_s)} ({first.text})."
            if count > 1
            else f"One alert was raised, at {clock(first.at_s)} ({first.text})."
        )
    elif any(party.estimates for party in record.parties.values()):
        said.append("No alert was raised.")
    return " ".join(filter(None, said))


def _sounds(party: Party) -> str:
    if party.is_timed_only:
        return f"Of the {party.name} the policy lets no more be told than when they speak."
    tally = party.tally
    if not tally.rated_s:
        return f"The {party.name} speaks too little to be rated." if party.speech_s else ""
    ranked = sorted(as_told(tally.emotion).items(), key=lambda item: -item[1])
    first, second = ranked[0], ranked[1] if len(ranked) > 1 else ("", 0.0)
    text = f"The {party.name} sounds most like {first[0]} ({first[1]:.0%})"
    if second[1] >= 0.2:
        text += f", then {second[0]} ({second[1]:.0%})"
    text += f", {_words_of(tally.arousal or 0.0, tally.valence or 0.0)}."
    if unsure_share(party) >= _MANY_UNSURE:
        text += f" Most of the estimates of the {party.name} were unsure."
    return text


def _words_of(arousal: float, valence: float) -> str:
    height = "aroused" if arousal > _CLEAR else "subdued" if arousal < -_CLEAR else ""
    side = "pleased" if valence > _CLEAR else "displeased" if valence < -_CLEAR else ""
    return " and ".join(filter(None, (height, side))) or "on the whole even"


def unsure(record: CallRecord) -> list[str]:
    """List what the report does not know, or knows badly."""
    found = []
    for party in record.parties.values():
        if party.is_timed_only:
            found.append(f"{party.name}: timed only, as the policy has it; nothing is known of how they sound.")
            continue
        if party.estimates:
            share = unsure_share(party)
            count = len(party.estimates)
            found.append(f"{party.name}: {share:.0%} of {count} estimates were unsure, without a label of their own.")
            doubted = sum(not estimate.is_trusted for estimate in party.estimates)
            if doubted:
                found.append(f"{party.name}: {doubted} estimates are doubted, since the voice may be synthetic.")
            rated_s, speech_s = party.tally.rated_s, party.speech_s
            if speech_s - rated_s > 1:
                found.append(f"{party.name}: {speech_s - rated_s:.0f} s of {speech_s:.0f} s of speech were not rated.")
        elif party.speech_s:
            found.append(f"{party.name}: no estimate of how they sound.")
        if party.spoof_all:
            share = party.spoof_unknown / party.spoof_all
            found.append(f"{party.name}: whether the voice is synthetic could not be told in {share:.0%} of the looks.")
        lost = party.tally.counters
        if lost.source_lost_samples or lost.overrun_samples or lost.skipped_hops:
            found.append(f"{party.name}: some of the audio was lost on the way.")
    found += [f"{line.party}, {clock(line.at_s)}: {line.text}" for line in record.quality]
    return found


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])}, and {parts[-1]}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."
