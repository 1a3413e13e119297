"""Shared: what plugins that run a network on many streams have in common."""
