"""What docs/own-model.md tells a reader to run, runs."""

import contextlib
import os
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fakes.program import ROOT, call
from tests.fakes.sounds import write_sound
from tests.fakes.voice import RATE_HZ, voice

pytestmark = pytest.mark.unit

PAGE = (ROOT / "docs" / "own-model.md").read_text()


def test_every_block_of_the_page_runs_in_its_order(capsys: Any, tmp_path: Path) -> None:
    for extra in ("torch", "onnx", "matplotlib"):
        pytest.importorskip(extra, reason=f"{extra} is an extra")
    for emotion, seeds in (("angry", (1, 2)), ("neutral", (3, 4))):
        (tmp_path / "clips" / emotion).mkdir(parents=True)
        for seed in seeds:
            write_sound(tmp_path / "clips" / emotion / f"{seed}.wav", voice(2.0, seed), RATE_HZ)
    write_sound(tmp_path / "call.wav", np.concatenate([voice(5.0, 5), np.zeros(RATE_HZ, np.float32)]), RATE_HZ)
    blocks = re.findall(r"```(python|sh|toml)\n(.*?)```", PAGE, re.DOTALL)
    assert [kind for kind, _ in blocks] == ["python", "python", "sh", "sh", "sh", "toml"]
    names: dict[str, Any] = {"__name__": "page"}
    said = ""
    with contextlib.chdir(tmp_path):
        for kind, text in blocks:
            if kind == "python":
                exec(compile(text, "docs/own-model.md", "exec"), names)
            elif kind == "toml":
                Path("rtemo.toml").write_text(text)
                said += call(capsys, "analyze", "call.wav", "--config", "rtemo.toml").out
            else:
                for line in text.splitlines():
                    program, *words = shlex.split(line)
                    assert program == "rtemo"
                    done = call(capsys, *words)
                    assert done.code == 0, (line, done.err)
                    said += done.out
        assert os.path.getsize("mine.svg") > 10_000
    assert "The weights are those of this card." in said
    assert '"emotion":{"neutral":' in said
    assert "vad,windowed minus vad,merit" in said
