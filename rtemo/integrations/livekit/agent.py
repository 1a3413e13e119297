"""RtemoAgentMixin: an agent that knows how a turn was said."""

from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Any

from livekit import rtc
from livekit.agents import llm

from rtemo.integrations.livekit.listener import RtemoListener

if TYPE_CHECKING:
    from livekit.agents import Agent as _Base
else:
    _Base = object


class RtemoAgentMixin(_Base):
    """To stand before `Agent` among the bases of an agent: `class Mine(RtemoAgentMixin, Agent)`.

    The user's audio passes the listener on its way to recognition (unless `RtemoNoiseCancellation` has it already), and
    the message that the language model answers gets a line about how it was said.

    Attributes:
        rtemo_listener: Set it before the session starts.
        rtemo_hears_audio: False where a `RtemoNoiseCancellation` of the same listener stands before.
    """

    rtemo_listener: RtemoListener | None = None
    rtemo_hears_audio = True

    def stt_node(self, audio: AsyncIterable[rtc.AudioFrame], model_settings: Any) -> Any:
        """Let the listener hear the audio that is recognised."""
        return super().stt_node(self._rtemo_heard(audio), model_settings)

    async def on_user_turn_completed(self, turn_ctx: llm.ChatContext, new_message: llm.ChatMessage) -> None:
        """Add what is known of how the turn was said to the message, once."""
        note = "" if self.rtemo_listener is None else self.rtemo_listener.note
        if note and note not in new_message.content:
            new_message.content.append(note)
        await super().on_user_turn_completed(turn_ctx, new_message)

    async def _rtemo_heard(self, audio: AsyncIterable[rtc.AudioFrame]) -> AsyncIterable[rtc.AudioFrame]:
        async for frame in audio:
            if self.rtemo_listener is not None and self.rtemo_hears_audio:
                frame = self.rtemo_listener.hear(frame)
            yield frame
