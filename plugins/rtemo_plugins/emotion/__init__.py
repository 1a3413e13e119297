"""Emotion: perceived vocal expression of the current turn, from a streaming network."""
