"""GapCount: finds out from sequence numbers what a subscriber missed."""

from typing import Any

from rtemo.io.wire import WireEvent

_MEMORY_S = 7200.0  # longer than a publisher remembers a call


class GapCount:
    """Counts lost events per topic, and tells duplicates from news.

    `pub_seq` never goes back within one life of the publisher, so it decides what is a duplicate. A topic
    whose own numbers begin again was forgotten by the publisher and is a new one.

    Attributes:
        lost_events: Events that were published and never arrived, over all topics.
        is_seeded: Whether every topic that existed is known, so that an unknown one must begin at 1.
    """

    def __init__(self) -> None:
        self.lost_events = 0
        self.is_seeded = False
        self._seen: dict[str, tuple[int, int, float]] = {}
        self._pruned_s = 0.0

    def restart(self) -> None:
        """Begin anew with a publisher that numbers from 1; what was lost stays counted."""
        self._seen.clear()

    def count(self, topic: str, event: WireEvent[Any], now_s: float) -> int | None:
        """Take an event into account.

        Returns:
            How many events of its topic were lost before it; None when it has been seen already.
        """
        seen = self._seen.get(topic)
        seq, pub_seq = seen[:2] if seen else (0 if self.is_seeded else event.seq - 1, 0)
        if event.pub_seq <= pub_seq:
            return None
        lost = event.seq - 1 if event.seq <= seq else event.seq - seq - 1
        self._seen[topic] = (event.seq, event.pub_seq, now_s)
        self.lost_events += lost
        if now_s - self._pruned_s > _MEMORY_S / 2:
            self._prune(now_s)
        return lost

    def behind(self, seqs: dict[str, int], pub_seq: int) -> int:
        """Tell how many events are missing at the end of topics, where no later event shows the gap.

        Args:
            seqs: Topic → the publisher's own number.
            pub_seq: As of which event of the publisher.
        """
        missing = 0
        for topic, seq in seqs.items():
            seen = self._seen.get(topic)
            seen_seq, seen_pub_seq = seen[:2] if seen else (0 if self.is_seeded else seq, 0)
            if pub_seq >= seen_pub_seq:
                missing += max(0, seq - seen_seq)
        return missing

    def settle(self, seqs: dict[str, int], pub_seq: int, now_s: float) -> int:
        """Count what is missing, as `behind` tells it, as lost, and take the publisher's numbers over."""
        lost = self.behind(seqs, pub_seq)
        for topic, seq in seqs.items():
            seen = self._seen.get(topic)
            if seen is None or pub_seq >= seen[1]:
                self._seen[topic] = (seq, pub_seq, now_s)
        self.lost_events += lost
        return lost

    def _prune(self, now_s: float) -> None:
        self._pruned_s = now_s
        self._seen = {topic: seen for topic, seen in self._seen.items() if now_s - seen[2] < _MEMORY_S}
