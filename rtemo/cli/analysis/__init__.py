"""How `rtemo analyze` works: alone in this process, or as a crew of worker processes."""
