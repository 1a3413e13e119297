"""RtemoAnnotator: tells the language model how the caller's turn was said."""

from typing import Any

from pipecat.frames.frames import Frame, LLMContextFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from rtemo.integrations.pipecat.processor import RtemoProcessor


class RtemoAnnotator(FrameProcessor):
    """Adds a line to the caller's message in the context, between the user's aggregator and the language model.

    The line is what is known when the context is sent: the last estimate of the turn where the final one has not come
    yet. A message is annotated once, and what the caller said is left as it was.

    Args:
        processor: Where the caller is heard.
        name: Of this processor.
    """

    def __init__(self, processor: RtemoProcessor, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self._processor = processor
        self._annotated: int | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take a frame, and hand it on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame) and direction == FrameDirection.DOWNSTREAM:
            self._annotate(frame)
        await self.push_frame(frame, direction)

    def _annotate(self, frame: LLMContextFrame) -> None:
        messages: list[Any] = list(frame.context.get_messages())
        note = self._processor.note
        if not note or not messages:
            return
        last = messages[-1]
        if not isinstance(last, dict) or last.get("role") != "user" or not isinstance(last.get("content"), str):
            return
        if str(last["content"]).endswith(note):
            return
        messages[-1] = {**last, "content": f"{last['content']}\n{note}"}
        frame.context.set_messages(messages)
