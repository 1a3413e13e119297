"""The card of Silero VAD; its weights lie in the package `silero-vad` and are not shipped here."""
