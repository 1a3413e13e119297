"""The plugins that ship with rtemo, registered through entry points as any other would be."""

CHAIN = ("level", "vad", "prosody", "merit", "gem", "ranker")
"""The order in which audio passes them when nobody says otherwise."""
