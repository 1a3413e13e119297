"""End of turn: whether a speaker goes on after a pause, from the pause and from the voice before it."""
