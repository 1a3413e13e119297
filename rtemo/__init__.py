"""rtemo: a streaming real-time engine for emotional speech.

>>> import rtemo
>>> session = rtemo.Session()
"""

from rtemo.telemetry import switch_off

TYPE_CHECKING = False  # as in typing, which would be the slowest import of `rtemo --help`
if TYPE_CHECKING:
    from rtemo.aio.session import AsyncSession
    from rtemo.aio.stream import AsyncStream
    from rtemo.aio.turn import Turn
    from rtemo.client import AudioReceiver, AudioSender, Subscriber
    from rtemo.config import Config
    from rtemo.push_stream import PushStream
    from rtemo.session import Session
    from rtemo.warming import WarmProgress, warm

switch_off()  # before anything here or on top of it can import a runtime that would send something home

__version__ = "0.1.0"
__all__ = [
    "AsyncSession",
    "AsyncStream",
    "AudioReceiver",
    "AudioSender",
    "Config",
    "PushStream",
    "Session",
    "Subscriber",
    "Turn",
    "WarmProgress",
    "__version__",
    "warm",
]

_HOMES = {
    "AsyncSession": "rtemo.aio.session",
    "AsyncStream": "rtemo.aio.stream",
    "AudioReceiver": "rtemo.client",
    "AudioSender": "rtemo.client",
    "Config": "rtemo.config",
    "PushStream": "rtemo.push_stream",
    "Session": "rtemo.session",
    "Subscriber": "rtemo.client",
    "Turn": "rtemo.aio.turn",
    "WarmProgress": "rtemo.warming",
    "warm": "rtemo.warming",
}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"TYPE_CHECKING"})


def __getattr__(name: str) -> object:
    # Loaded when first used: `rtemo --help` must not pay for NumPy, Numba and ZeroMQ.
    if name not in _HOMES:
        raise AttributeError(f"module 'rtemo' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
