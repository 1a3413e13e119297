"""The graph of the speaker embedding does what the network does."""

import numpy as np
import onnxruntime
import pytest
import torch

from rtemo_models.systems.speaker.export import BANDS, FRAMES, LAYERS, WIDTH, build_graph

pytestmark = pytest.mark.unit


def test_graph_and_network_agree():
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(BANDS, WIDTH, LAYERS, batch_first=True)
    linear = torch.nn.Linear(WIDTH, WIDTH)
    weights = {f"lstm.{name}": value for name, value in lstm.state_dict().items()}
    weights |= {f"linear.{name}": value for name, value in linear.state_dict().items()}
    mel = torch.rand(3, FRAMES, BANDS)
    with torch.no_grad():
        _, (hidden, _) = lstm(mel)
        wanted = torch.relu(linear(hidden[-1]))
        wanted = (wanted / wanted.norm(dim=1, keepdim=True)).numpy()
    session = onnxruntime.InferenceSession(build_graph(weights).SerializeToString())
    (found,) = session.run(None, {"mel": mel.numpy()})
    np.testing.assert_allclose(found, wanted, atol=2e-3)  # the graph keeps its weights in half precision
