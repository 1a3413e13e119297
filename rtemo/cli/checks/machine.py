"""The machine: interpreter, processors, sleep, packages and the cache of compiled code."""

import platform
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from rtemo.cli.checks.finding import Finding
from rtemo.processors import count_processors

_PACKAGES = (("numpy", "numpy"), ("numba", "numba"), ("onnxruntime", "onnxruntime"), ("soundfile", "soundfile"))
_LATE_MS = 5.0
_NAPS = 40
_NAP_S = 0.01


def interpreter() -> Iterator[Finding]:
    """Python and the system."""
    text = f"{platform.python_version()} on {platform.system()} {platform.release()} ({platform.machine()})"
    is_known = sys.version_info >= (3, 11)
    yield Finding("python", "pass" if is_known else "fail", text, "" if is_known else "install Python 3.11 or newer")


def packages() -> Iterator[Finding]:
    """Whether what is computed with can be imported."""
    found = []
    for module, package in _PACKAGES:
        try:
            import_module(module)
        except Exception as error:
            yield Finding("packages", "fail", f"{package}: {error}", f"run: pip install --upgrade {package}")
        else:
            found.append(f"{package} {version(package)}")
    yield Finding("packages", "pass", ", ".join(found))


def voice_activity() -> Iterator[Finding]:
    """Whether the voice activity detector of WebRTC, which is optional, can be imported if it is there.

    Its package has the name of an older one without wheels.
    """
    if find_spec("webrtcvad") is None:
        mend = "only for `back_end = 'webrtc'`: pip install webrtcvad-wheels"
        yield Finding(
            "webrtcvad", "note", "not installed; the voice activity detector in use by default is silero", mend
        )
        return
    try:
        detector = import_module("webrtcvad").Vad(2)
        detector.is_speech(bytes(320), 16_000)
    except Exception as error:
        yield Finding("webrtcvad", "fail", f"{error}", "run: pip install --force-reinstall webrtcvad-wheels")
        return
    yield Finding("webrtcvad", "pass", f"webrtcvad-wheels {version('webrtcvad-wheels')}")


def threads() -> Iterator[Finding]:
    """How many processors there are for the driver and the rest."""
    cores = count_processors()
    quota = _quota_cores()
    text = f"{cores} processor{'s' if cores > 1 else ''}"
    if quota is not None:
        text += f", limited to {quota:g} by the container"
    is_enough = cores >= 2 and (quota is None or quota >= 1)
    mend = "" if is_enough else "give it a whole processor, better two: the driver shares one with everything else"
    yield Finding("processors", "pass" if is_enough else "note", text, mend)


def sleep() -> Iterator[Finding]:
    """How late a sleeping thread wakes up: it bounds how regular ticks can be."""
    late_ms = []
    for _ in range(_NAPS):
        start_s = time.perf_counter()
        time.sleep(_NAP_S)
        late_ms.append(1e3 * (time.perf_counter() - start_s - _NAP_S))
    worst_ms, middle_ms = max(late_ms), sorted(late_ms)[_NAPS // 2]
    is_well = worst_ms < _LATE_MS
    yield Finding(
        "timer",
        "pass" if is_well else "note",
        f"wakes up {middle_ms:.1f} ms late, {worst_ms:.1f} ms at worst",
        "" if is_well else "the machine is busy: ticks will be late; stop what else runs or raise the priority",
    )


def precedence() -> Iterator[Finding]:
    """Whether a live engine may run before other programs."""
    from rtemo.engine.precedence import permitted

    grant = permitted()
    text = {
        "realtime": "live engines run in real time, before other programs",
        "nice": "live engines run before other programs, not in real time",
        "none": "live engines wait for their turn like any program: a busy machine makes ticks late",
    }[grant]
    mend = "allow rtprio 11 in /etc/security/limits.conf (ulimit -r), or give the container CAP_SYS_NICE"
    yield Finding("precedence", "pass" if grant == "realtime" else "note", text, "" if grant == "realtime" else mend)


def kernel_cache() -> Iterator[Finding]:
    """Whether compiled kernels can be kept, so that only the first start compiles."""
    from rtemo.dsp.kernel_cache import folders, writable_folder

    folder = writable_folder()
    if folder is None:
        yield Finding(
            "kernel cache",
            "note",
            f"{folders()[-1]} cannot be written: what is not there is compiled anew at every start",
            "set NUMBA_CACHE_DIR to a folder that this user can write",
        )
        return
    yield Finding("kernel cache", "pass", str(folder))


def _quota_cores() -> float | None:
    """Processors that a cgroup allows, or None without a limit."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return None
