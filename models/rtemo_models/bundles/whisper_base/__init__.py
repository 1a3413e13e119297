"""The whisper-base bundle: a card alone; its weights come from packages, or by `rtemo fetch`."""
