"""RuntimeOptions: what runs the models, and where."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class RuntimeOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of model execution; see the description of each field."""

    device: Annotated[str, Meta(description="Where models run: cpu, cuda or cuda:<number>.")] = "cpu"
    back_end: Annotated[
        Literal["auto", "onnx", "torch"],
        Meta(description="What runs them; auto is onnx on a CPU and torch on a GPU (extra rtemo[gpu])."),
    ] = "auto"
    half: Annotated[bool, Meta(description="Multiply matrices in half precision where a GPU runs them.")] = True
    folders: Annotated[
        tuple[str, ...],
        Meta(description="Folders with weights of bundles, as FOLDER/BUNDLE/FILE; those of $RTEMO_MODELS come after."),
    ] = ()
    speech_threads: Annotated[
        int, Meta(ge=0, le=256, description="Threads of a speech model on a CPU; 0 takes half of the processors.")
    ] = 0
