"""The Silero VAD, exported again."""
