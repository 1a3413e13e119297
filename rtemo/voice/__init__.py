"""Speaking: text to phonemes, phonemes to sound, how it is said, and how it is marked as made."""
