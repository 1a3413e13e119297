"""The plugins that ship with rtemo, registered through entry points as any other would be."""

SMALL = ("level", "vad", "dialogue", "prosody", "merit", "gem", "ranker")
"""The order in which audio passes them where every processor counts: all of it within the tick."""

CHAIN = ("level", "vad", "dialogue", "prosody", "listener", "merit", "gem", "ranker")
"""The order when nobody says otherwise: with a large network beside the tick, for as many turns as it keeps up with."""
