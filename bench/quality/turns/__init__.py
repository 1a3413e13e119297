"""Turn-taking: pauses in which a speaker goes on, and those that end a turn."""
