"""Emotion models on dev speakers, beside their peers, under the same listening conditions."""
