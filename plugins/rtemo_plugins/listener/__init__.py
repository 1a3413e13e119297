"""The listener plugin: emotion by a large speech encoder, beside the tick."""
