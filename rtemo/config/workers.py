"""WorkersOptions: the settings of a server whose calls are shared by several processes."""

from typing import Annotated

import msgspec
from msgspec import Meta


class WorkersOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the front of `rtemo serve --workers`, and of how it treats its workers."""

    max_load: Annotated[
        float,
        Meta(gt=0, le=100, description="Share of the hop that ticks of a worker may take, with a call that is let in."),
    ] = 0.7
    max_late_ms: Annotated[
        float,
        Meta(gt=0, le=1_000, description="A worker with ticks (99 of 100) later than this gets no new calls, in ms."),
    ] = 10.0
    first_streams: Annotated[
        int,
        Meta(ge=1, le=4096, description="Streams a worker is given before it is known what one costs there."),
    ] = 32
    hang_s: Annotated[
        float,
        Meta(ge=0.5, le=60, description="A worker that is silent for so long is ended, and its calls move, in s."),
    ] = 1.5
    move_s: Annotated[
        float,
        Meta(ge=0, le=86_400, description="How long calls may wait for silence to leave a worker that is to go, in s."),
    ] = 30.0
    cluster: Annotated[
        str,
        Meta(description="Ray cluster whose nodes run the workers: local, auto or HOST:PORT; empty for this machine."),
    ] = ""
    cpus: Annotated[
        float,
        Meta(gt=0, le=1024, description="Processors that a worker wants of a node of the cluster."),
    ] = 1.0
    gpus: Annotated[
        float,
        Meta(ge=0, le=64, description="GPUs that a worker wants of a node of the cluster."),
    ] = 0.0
    resources: Annotated[
        dict[str, Annotated[float, Meta(gt=0)]],
        Meta(description="What else a worker wants of a node of the cluster, as it is named there."),
    ] = {}
    pin: Annotated[bool, Meta(description="Keep each worker on processors of its own, of one NUMA node.")] = False
    control: Annotated[
        str,
        Meta(description="Where `rtemo workers` reaches the front, ipc://PATH; empty for a private folder."),
    ] = ""
