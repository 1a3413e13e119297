"""speech_lm: a small language model over what a voice sounds like and says: transcript, label, rationale."""
