"""RtemoNoiseCancellation: rtemo in the place that LiveKit has for noise cancellation."""

from livekit import rtc

from rtemo.integrations.livekit.listener import RtemoListener


class RtemoNoiseCancellation(rtc.FrameProcessor[rtc.AudioFrame]):
    """Enhances the frames of a participant before anybody else hears them; `RoomInputOptions(noise_cancellation=…)`.

    Args:
        listener: Who hears the participant; it tells what is found out besides.
    """

    def __init__(self, listener: RtemoListener) -> None:
        self._listener = listener
        self._is_enabled = True

    @property
    def enabled(self) -> bool:
        """Whether frames come back enhanced; the listener hears them anyway."""
        return self._is_enabled

    @enabled.setter
    def enabled(self, value: bool) -> None:
        self._is_enabled = value

    def _process(self, frame: rtc.AudioFrame) -> rtc.AudioFrame:
        enhanced = self._listener.hear(frame)
        return enhanced if self._is_enabled else frame

    def _close(self) -> None:
        self._listener.end()
