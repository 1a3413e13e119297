"""Turn-taking: how likely a turn is over, every 100 ms of silence."""
