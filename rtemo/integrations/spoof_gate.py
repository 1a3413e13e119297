"""SpoofGate: what an assistant does about the risk that a voice is synthetic."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from rtemo.api import Spoof

Action = Literal["pass", "doubt", "challenge", "refuse"]
"""`pass`: go on; `doubt`: go on, and let whoever answers know; `challenge`: ask for something that a voice alone cannot
give; `refuse`: do not act on what was said."""

_ORDER: tuple[Action, ...] = ("pass", "doubt", "challenge", "refuse")


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done, and why."""

    action: Action
    reason: str = ""
    """For a person or a language model; empty where there is nothing to say."""
    score: float | None = None
    """Log-odds that the voice is synthetic; None while nothing was told."""


class SpoofGate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which risk leads to what; nothing is refused unless one says so.

    The sign is a weak one (docs/spoof.md): genuine voices raise it. So an alarm, which rests on much of the call, asks
    for another proof, and a verdict over the last seconds is only passed on as doubt. To refuse is for what can be
    done without: a payment by voice where another way stands open.

    >>> SpoofGate().judge(Spoof(score=3.1, verdict="spoof", speech_s=6.0)).action
    'doubt'
    >>> SpoofGate(on_spoof="challenge").judge(Spoof(score=3.1, verdict="spoof", speech_s=6.0), is_proven=True).action
    'doubt'
    """

    on_alarm: Annotated[Action, Meta(description="While an alarm over the call stands.")] = "challenge"
    on_spoof: Annotated[Action, Meta(description="While the verdict over the last seconds is `spoof`.")] = "doubt"
    on_score: Annotated[Action, Meta(description="From `score_from` on, whatever the verdict.")] = "doubt"
    score_from: Annotated[
        float | None, Meta(description="Log-odds from which `on_score` holds; never where it is unset.")
    ] = None
    on_unknown: Annotated[
        Action, Meta(description="While nothing is known: too little speech, or a plugin that has failed.")
    ] = "pass"

    def judge(self, spoof: Spoof | None, *, is_proven: bool = False) -> Ruling:
        """Rule on the last that was said of a voice.

        Args:
            spoof: None where nothing was said, or where the policy keeps it back.
            is_proven: Whether the speaker has given the other proof; nothing is challenged twice then.
        """
        if spoof is None:
            return self._ruled(
                [(self.on_unknown, "nothing is known of whether the voice is synthetic")], None, is_proven
            )
        found: list[tuple[Action, str]] = [("pass", "")]
        if spoof.is_alarmed:
            found.append((self.on_alarm, "over the call, evidence has gathered that the voice is synthetic"))
        if spoof.verdict == "spoof":
            found.append((self.on_spoof, "the last seconds sound synthetic"))
        if self.score_from is not None and spoof.score >= self.score_from:
            found.append((self.on_score, "the voice has signs of a synthetic one"))
        if spoof.verdict == "unknown":
            found.append((self.on_unknown, "it cannot be told whether the voice is synthetic"))
        return self._ruled(found, spoof.score, is_proven)

    def _ruled(self, found: list[tuple[Action, str]], score: float | None, is_proven: bool) -> Ruling:
        action, reason = max(found, key=lambda one: _ORDER.index(one[0]))
        if action == "challenge" and is_proven:
            action = "doubt"
        return Ruling(action=action, reason="" if action == "pass" else reason, score=score)
