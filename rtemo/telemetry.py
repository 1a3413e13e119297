"""What libraries are told before they are imported, so that nothing is sent home and nothing is written for it.

ONNX Runtime 1.32 and later writes a device id and a database of events under the user's cache and looks up a host
as soon as it is imported; the call it offers to switch that off comes too late for the files. Only the environment is
read early enough, so it is set when the package `rtemo` is imported, which happens before any of its modules, plugins
or models can import a runtime. A program that imports onnxruntime before rtemo has to set it itself.
"""

import os

TELEMETRY_OFF = {
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DISABLE_TELEMETRY": "YES",  # older names of the same, read by transformers and its relatives
    "DO_NOT_TRACK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Environment variables that switch telemetry off, whatever they were before."""

OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
"""Environment variables that keep libraries from fetching anything, unless the user has set them otherwise."""


def switch_off() -> None:
    """Switch the telemetry of every library off that rtemo or one of its extras may import."""
    os.environ.update(TELEMETRY_OFF)


def stay_offline() -> None:
    """Keep libraries from fetching models by themselves, in a process of ours: what runs here was installed before."""
    for name, value in OFFLINE.items():
        os.environ.setdefault(name, value)
