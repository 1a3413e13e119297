"""The kokoro bundle: a card alone; its weights come from packages."""
