"""The plugins that ship with rtemo, registered through entry points as any other would be."""
