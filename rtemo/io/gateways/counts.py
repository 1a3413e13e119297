"""GatewayCounts: what has come to a gateway's door."""

import msgspec


class GatewayCounts(msgspec.Struct, kw_only=True):
    """Counters since the start.

    Attributes:
        connections: Peers let in.
        refused: Peers turned away: no signature, no room, a wrong key.
        broken: Connections closed because of what the peer did.
        messages: Messages or packets taken.
        dropped: Packets dropped: far faster than real time, of a party that is not let in; where calls go to workers,
            beyond the credit too, and while none has the call.
    """

    connections: int = 0
    refused: int = 0
    broken: int = 0
    messages: int = 0
    dropped: int = 0
