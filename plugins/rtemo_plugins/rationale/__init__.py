"""rationale: why a turn sounds as it is said to, in a sentence that rests on what was measured and said."""
