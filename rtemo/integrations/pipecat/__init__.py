"""rtemo inside pipecat: `pip install 'rtemo[pipecat]'`; see docs/assistants-pipecat.md."""

from importlib.util import find_spec

from rtemo.api import ConfigError

if find_spec("pipecat") is None:
    raise ConfigError("rtemo.integrations.pipecat needs the package pipecat-ai", "run: pip install 'rtemo[pipecat]'")

from rtemo.integrations.hearing import Hearing
from rtemo.integrations.pipecat.annotator import RtemoAnnotator
from rtemo.integrations.pipecat.frames import (
    ChallengeFrame,
    EmotionFrame,
    EndOfTurnFrame,
    RankFrame,
    SpoofFrame,
    TurnFrame,
)
from rtemo.integrations.pipecat.metrics import RtemoMetricsData
from rtemo.integrations.pipecat.processor import RtemoProcessor
from rtemo.integrations.pipecat.turn_analyzer import RtemoTurnAnalyzer
from rtemo.integrations.pipecat.voice_activity import RtemoVADAnalyzer

__all__ = [
    "ChallengeFrame",
    "EmotionFrame",
    "EndOfTurnFrame",
    "Hearing",
    "RankFrame",
    "RtemoAnnotator",
    "RtemoMetricsData",
    "RtemoProcessor",
    "RtemoTurnAnalyzer",
    "RtemoVADAnalyzer",
    "SpoofFrame",
    "TurnFrame",
]
