"""The receiving and sending ends for programs beside the engine: `Subscriber`, `AudioReceiver` and `AudioSender`."""

from rtemo.io.audio_receiver import AudioReceiver, ReceivedAudio
from rtemo.io.audio_sender import AudioSender
from rtemo.io.catch_up import Notice
from rtemo.io.query_client import QueryClient
from rtemo.io.sender_stream import SenderStream
from rtemo.io.subscriber import Subscriber
from rtemo.io.wire import CallState, WireEvent, decode_event, decode_state

__all__ = [
    "AudioReceiver",
    "AudioSender",
    "CallState",
    "Notice",
    "QueryClient",
    "ReceivedAudio",
    "SenderStream",
    "Subscriber",
    "WireEvent",
    "decode_event",
    "decode_state",
]
