import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rtemo.dsp.bands import LogBands
from rtemo.dsp.filters import Biquads, Section
from rtemo.dsp.gains import apply_gains
from rtemo.dsp.level import LevelMeter
from rtemo.dsp.logmel import LogMel
from rtemo.dsp.pitch import PitchTracker
from rtemo.dsp.rate import SpeechRate
from rtemo.dsp.resample import PolyphaseResampler
from rtemo.dsp.stft import Istft, Stft, low_delay_windows
from rtemo.dsp.tilt import SpectralTilt
from rtemo.dsp.warmup import compile_kernels

pytestmark = pytest.mark.unit

WARM_UP = "from rtemo.dsp.warmup import compile_kernels; w = compile_kernels(['tilt']); print(w.compiled, w.cached, w)"


def run(code: str, **environment: str) -> str:
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_second_warm_up_has_nothing_left_to_do() -> None:
    first = compile_kernels()
    second = compile_kernels()
    assert first.count > 10
    assert (second.compiled, second.cached) == (0, 0)
    assert second.count == first.count
    assert second.problem == ""


def test_nothing_is_compiled_while_audio_flows() -> None:
    ready = compile_kernels().count
    rows = np.zeros((19, 320), np.float32)
    block = np.zeros((32, 320), np.float32)[:19]
    analysis, synthesis = low_delay_windows(640, 320, 640)
    model = LogMel(19, hop_samples=320, frame_samples=512, mel_count=40)
    stft, bands = Stft(19, analysis, hop_samples=320), LogBands(19, analysis, mel_count=40)
    steps = (
        lambda x: Biquads(19, [Section.notch(50.0, 16_000.0, 5.0)] * 3, hop_samples=320).process(x, out=block),
        LevelMeter(19, hop_samples=320).process,
        lambda x: SpectralTilt(19, model.filterbank).process(model.process(x)),
        PitchTracker(19, hop_samples=320).process,
        lambda x: SpeechRate(19, hop_samples=320).process(x, np.ones(19, bool)),
        lambda x: Istft(19, synthesis, frame_samples=640, hop_samples=320).process(
            Stft(19, analysis, hop_samples=320).process(x)
        ),
        lambda x: bands.process(stft.process(x), bins=np.zeros((19, 321), np.float32)),
        lambda x: apply_gains(stft.process(x), np.ones((19, 321), np.float32)),
        PolyphaseResampler(48_000, 16_000, channels=19).process,
    )
    read_only = rows.copy()
    read_only.flags.writeable = False
    for step in steps:
        for x in (rows, block, np.asfortranarray(rows), read_only, rows[:, ::-1]):
            step(x)
    assert compile_kernels(()).count == ready


def test_kernels_are_read_from_the_cache_the_second_time(tmp_path: Path) -> None:
    first = run(WARM_UP, NUMBA_CACHE_DIR=str(tmp_path)).split()
    second = run(WARM_UP, NUMBA_CACHE_DIR=str(tmp_path)).split()
    assert int(first[0]) > 0
    assert int(second[0]) == 0
    assert int(second[1]) > 0


def test_a_cache_that_cannot_be_written_is_reported_and_does_no_harm() -> None:
    said = run(WARM_UP, NUMBA_CACHE_DIR="/dev/null/kernels")
    assert int(said.split()[0]) > 0
    assert "no cache: /dev/null/kernels/rtemo-kernels cannot be written (Not a directory)" in said


def test_a_full_disk_is_reported_and_does_no_harm(tmp_path: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); "
    said = run(limit + WARM_UP, NUMBA_CACHE_DIR=str(tmp_path), PYTHONDONTWRITEBYTECODE="1")
    assert int(said.split()[0]) > 0
    assert "cannot be written (File too large)" in said
    assert not list(tmp_path.rglob("*.kernel"))


def test_importing_the_package_does_not_import_numba() -> None:
    assert run("import sys, rtemo.dsp; print('numba' in sys.modules)") == "False\n"
