"""SmartTurn: the end-of-turn network that pipecat-ai carries, as pipecat runs it."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime

_SECONDS = 8
_RATE_HZ = 16_000
_FILE = "audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx"


class SmartTurn:
    """Judges the last 8 s of a sound (Daily, "Smart Turn" v3.2, BSD-2: the encoder of Whisper tiny and a head).

    Raises:
        SystemExit: The package is not installed.
    """

    def __init__(self) -> None:
        spec = find_spec("pipecat")
        if spec is None or not spec.submodule_search_locations:
            raise SystemExit("smart-turn comes with the package pipecat-ai: pip install 'rtemo[pipecat]'")
        from pipecat.audio.turn.smart_turn._whisper_features import compute_whisper_log_mel_features

        self._features = compute_whisper_log_mel_features
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        path = Path(next(iter(spec.submodule_search_locations)), _FILE)
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def judge(self, sound: np.ndarray) -> float:
        """Tell the probability that the turn is over, of all that was heard so far, float32 [samples] at 16 kHz."""
        heard = sound[-_SECONDS * _RATE_HZ :]
        heard = np.pad(heard, (_SECONDS * _RATE_HZ - len(heard), 0))
        features = self._features(heard, do_normalize=True)[None]
        return float(self._session.run(None, {"input_features": features})[0].reshape(-1)[0])
