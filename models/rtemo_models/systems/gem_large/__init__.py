"""The large GEM: experts on the lower layers of Whisper's encoder, which the large listener runs anyway."""
