"""An encoder with the shape of the teacher's and drawn weights, for runs that only show that the steps fit together."""

from pathlib import Path

import click
import torch

from rtemo_models.kit.command import PATH, task
from rtemo_models.systems.merit.net.moonshine import Moonshine


def make_encoder(path: Path, seed: int = 0) -> Path:
    """Write an ONNX file that `MoonshineEncoder` runs and `load_moonshine` reads; a file that is there is left alone.

    What it gives are frames of the convolutions; the transformer's weights are in the file and do not count.
    """
    if path.exists():
        return path
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    torch.manual_seed(seed)
    net = Moonshine()
    weights = {name: values.detach().numpy() for name, values in net.state_dict().items()}
    front = [name for name in weights if name.startswith(("conv", "norm1"))]
    nodes = [
        helper.make_node("Unsqueeze", ["input_values", "one"], ["x0"]),
        helper.make_node("Conv", ["x0", "conv1.weight"], ["x1"], strides=[64]),
        helper.make_node("Tanh", ["x1"], ["x2"]),
        helper.make_node("Conv", ["x2", "conv2.weight", "conv2.bias"], ["x3"], strides=[3]),
        helper.make_node("Tanh", ["x3"], ["x4"]),
        helper.make_node("Conv", ["x4", "conv3.weight", "conv3.bias"], ["x5"], strides=[2]),
        helper.make_node("Transpose", ["x5"], ["x6"], perm=[0, 2, 1]),
        helper.make_node("Sub", ["attention_mask", "attention_mask"], ["none"]),
        helper.make_node("Cast", ["none"], ["zeros"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["zeros"], ["zero"], keepdims=0),
    ]
    unheard = [name for name in weights if name not in front or name.startswith("norm1")]
    for k, name in enumerate(unheard):
        nodes.append(helper.make_node("ReduceSum", [name], [f"sum{k}"], keepdims=0))
    nodes += [
        helper.make_node("Sum", [f"sum{k}" for k in range(len(unheard))], ["sum"]),
        helper.make_node("Mul", ["sum", "zero"], ["nothing"]),
        helper.make_node("Add", ["x6", "nothing"], ["last_hidden_state"]),
    ]
    floats = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "made-up-encoder",
        [
            helper.make_tensor_value_info("input_values", floats, ["batch", "samples"]),
            helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["batch", "samples"]),
        ],
        [helper.make_tensor_value_info("last_hidden_state", floats, ["batch", "frames", 288])],
        [numpy_helper.from_array(values.copy(), name) for name, values in weights.items()]
        + [helper.make_tensor("one", TensorProto.INT64, [1], [1])],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


@task(__doc__, click.option("--out", type=PATH, required=True, help="ONNX file to write."))
def main(out: Path) -> None:
    """Command line."""
    make_encoder(out)


if __name__ == "__main__":
    main()
