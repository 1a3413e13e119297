"""Narrator: picks the events that are worth a line."""

from rtemo.api import Emotion, Event, Rank, Spoof
from rtemo.cli.view.plain import sentence


class Narrator:
    """Turns a flow of events into lines of text: what has changed, and what is final.

    Level, prosody and health come all the time and are left out; a refreshed estimate gets a line only when its
    label changes, and so does a spoof verdict.
    """

    def __init__(self) -> None:
        self.sample_rate_hz = 16_000
        self._said: dict[tuple[str, str, str], str] = {}

    def line(self, event: Event) -> str:
        """Say the event in one line; empty when it is not worth one."""
        data = event.data
        if isinstance(data, Emotion | Spoof):
            finding = data.label if isinstance(data, Emotion) else data.verdict
            key = (event.call, event.channel, event.kind)
            is_news = self._said.get(key) != finding or (isinstance(data, Emotion) and data.is_final)
            self._said[key] = finding
            if not is_news:
                return ""
        elif isinstance(data, Rank):
            return ""
        return sentence(event, self.sample_rate_hz)
