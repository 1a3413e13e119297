"""rtemo: a streaming real-time engine for emotional speech.

>>> import rtemo
>>> session = rtemo.Session()
"""

from typing import TYPE_CHECKING, Any

from rtemo.telemetry import switch_off

if TYPE_CHECKING:
    from rtemo.client import AudioReceiver, AudioSender, Subscriber
    from rtemo.config import Config
    from rtemo.session import PushStream, Session

switch_off()  # before anything here or on top of it can import a runtime that would send something home

__version__ = "0.1.0"
__all__ = ["AudioReceiver", "AudioSender", "Config", "PushStream", "Session", "Subscriber", "__version__"]

_HOMES = {
    "AudioReceiver": "rtemo.client",
    "AudioSender": "rtemo.client",
    "Config": "rtemo.config",
    "PushStream": "rtemo.session",
    "Session": "rtemo.session",
    "Subscriber": "rtemo.client",
}


def __getattr__(name: str) -> Any:
    # Loaded when first used: `rtemo --help` must not pay for NumPy, Numba and ZeroMQ.
    if name not in _HOMES:
        raise AttributeError(f"module 'rtemo' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
