"""The smart-turn bundle: the card of Daily's Smart Turn v3.2, whose weights the package pipecat-ai brings."""
