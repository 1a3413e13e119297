"""rtemo inside LiveKit Agents: `pip install 'rtemo[livekit]'`; see docs/assistants-livekit.md."""

from importlib.util import find_spec

from rtemo.api import ConfigError

if find_spec("livekit") is None or find_spec("livekit.agents") is None:
    raise ConfigError(
        "rtemo.integrations.livekit needs the package livekit-agents", "run: pip install 'rtemo[livekit]'"
    )

from rtemo.integrations.hearing import Hearing
from rtemo.integrations.livekit.agent import RtemoAgentMixin
from rtemo.integrations.livekit.listener import RtemoListener
from rtemo.integrations.livekit.noise_cancellation import RtemoNoiseCancellation
from rtemo.integrations.livekit.voice_activity import RtemoVAD

__all__ = ["Hearing", "RtemoAgentMixin", "RtemoListener", "RtemoNoiseCancellation", "RtemoVAD"]
