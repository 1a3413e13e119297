"""VoiceError: what was asked to be said cannot be said."""

from rtemo.api import RtemoError


class VoiceError(RtemoError):
    """Text, a style or a reference that cannot be spoken or imitated."""
