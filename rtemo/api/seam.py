"""Seam: what a bundle must take and give to be run by a plugin."""

from collections.abc import Mapping

from rtemo.api.errors import ModelError
from rtemo.api.model import ModelCard, TensorSpec

Shape = tuple[int, ...]


def check_seam(
    card: ModelCard,
    plugin: str,
    option: str,
    *,
    hops_per_step: int,
    inputs: Mapping[str, Shape],
    outputs: Mapping[str, Shape | None],
    optional: Mapping[str, Shape] | None = None,
) -> None:
    """Refuse a bundle that the kernels and buffers of a plugin do not fit.

    Args:
        card: Of the bundle.
        plugin: Name of the plugin, for the error.
        option: The option that names the bundle, for the error.
        hops_per_step: Hops of a step.
        inputs: Name → shape of a row, of what it must take.
        outputs: Name → shape of a row, of what it must give among others; None for any shape.
        optional: Name → shape of a row, of what it may take too.

    Raises:
        ModelError: Something is missing, too much, or of another shape.
    """
    known = {**inputs, **(optional or {})}
    problem = ""
    if card.hops_per_step != hops_per_step:
        problem = f"makes a step of {card.hops_per_step} hops, expected {hops_per_step}"
    for name in inputs.keys() - card.inputs.keys():
        problem = f"does not take {name!r}"
    for name, tensor in card.inputs.items():
        if name not in known:
            problem = f"takes {name!r}, which is not known here"
        elif not _fits(tensor, known[name]):
            problem = f"takes {name!r} as {list(tensor.shape)} {tensor.dtype}, expected {list(known[name])} float32"
    for name, shape in outputs.items():
        if name not in card.outputs:
            problem = f"does not give {name!r}"
        elif not _fits(card.outputs[name], shape):
            got = card.outputs[name]
            problem = f"gives {name!r} as {list(got.shape)} {got.dtype}, expected {list(shape or ())} float32"
    if problem:
        raise ModelError(
            f"bundle {card.name!r} does not fit the {plugin} plugin: it {problem}", f"choose another `{option}`"
        )


def check_rate(rate_hz: int, wanted_hz: int, bundle: str, plugin: str) -> None:
    """Refuse an engine whose rate is none that a bundle hears.

    Args:
        rate_hz: Of the engine.
        wanted_hz: What the bundle hears.
        bundle: Its name, for the error.
        plugin: Name of the plugin, for the error.

    Raises:
        ModelError: They differ.
    """
    if rate_hz != wanted_hz:
        raise ModelError(
            f"bundle {bundle!r} hears {wanted_hz} Hz, the engine gives {rate_hz} Hz",
            f"take the {plugin} plugin out of `chain`",
        )


def _fits(tensor: TensorSpec, shape: Shape | None) -> bool:
    return tensor.dtype == "float32" and shape in (None, tensor.shape)
