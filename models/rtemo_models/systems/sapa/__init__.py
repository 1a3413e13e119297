"""Speaker-style aware phoneme anchoring across languages: see README.md."""
