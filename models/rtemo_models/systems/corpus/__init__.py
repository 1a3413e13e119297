"""From recordings to a corpus of rated turns, by the commands that everybody has: see README.md."""
