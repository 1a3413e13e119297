"""A voice of formants; see `rtemo.testing.voice`."""

from rtemo.testing.voice import RATE_HZ, voice

__all__ = ["RATE_HZ", "voice"]
