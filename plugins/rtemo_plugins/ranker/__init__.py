"""Ranker: how the present moment stands within the call, and which calls need a person first."""
