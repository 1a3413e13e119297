import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rtemo.dsp import kernel_cache, kernel_runtime

pytestmark = pytest.mark.unit

PACKAGE = {
    "__init__.py": "",
    "tables.py": "GAIN = 2.0\nWEIGHTS = (1.0, 1.0)\n",
    "inner.py": """
import numpy as np
from rtemo.dsp.kernel import kernel
from stranger import tables
from stranger.tables import WEIGHTS

@kernel
def scale(x):
    '''Scale.'''
    return x * tables.GAIN * WEIGHTS[1]
""",
    "plugin.py": """
from rtemo.dsp.kernel import kernel
from stranger.inner import scale

@kernel
def lift(x):
    return scale(x) + 1.0
""",
}
LIFT = """
import sys
from stranger.plugin import lift
print(lift(3.0), *(sum(getattr(lift.stats, name).values()) for name in ("cache_misses", "cache_hits")))
"""


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """Somebody else's package with kernels in two files and constants in a third."""
    folder = tmp_path / "stranger"
    folder.mkdir()
    for name, text in PACKAGE.items():
        (folder / name).write_text(text)
    return folder


def begin(code: str, folder: Path, cache: Path | str) -> "subprocess.Popen[str]":
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder.parent),
        "NUMBA_CACHE_DIR": str(cache),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def end(process: "subprocess.Popen[str]") -> list[str]:
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    return out.split()


def lift(folder: Path) -> list[str]:
    """Give the value of `lift(3.0)` in a process of its own, and whether it was compiled or read."""
    return end(begin(LIFT, folder, folder.parent / "cache"))


def edit(path: Path, old: str, new: str) -> None:
    """Change a file behind the back of time stamps."""
    before = path.stat()
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_changed_constant_or_kernel_of_another_file_is_seen(stranger: Path) -> None:
    assert lift(stranger) == ["7.0", "1", "0"]
    assert lift(stranger) == ["7.0", "0", "1"]
    edit(stranger / "tables.py", "GAIN = 2.0", "GAIN = 4.0")
    assert lift(stranger) == ["13.0", "1", "0"]
    edit(stranger / "tables.py", "(1.0, 1.0)", "(1.0, 0.5)")
    assert lift(stranger) == ["7.0", "1", "0"]
    edit(stranger / "inner.py", "return x *", "return x - 0 *")
    assert lift(stranger) == ["4.0", "1", "0"]
    edit(stranger / "inner.py", "return x - 0 *", "return x *")
    assert lift(stranger) == ["7.0", "0", "1"], "the version before is still there"


def test_an_edit_that_changes_nothing_compiles_nothing(stranger: Path) -> None:
    assert lift(stranger) == ["7.0", "1", "0"]
    edit(stranger / "inner.py", "'''Scale.'''", "'''Scale a value by all that scales it.'''\n    # nothing else")
    edit(stranger / "plugin.py", "from rtemo", "import os\nfrom rtemo")
    assert lift(stranger) == ["7.0", "0", "1"]


def test_a_damaged_file_is_compiled_anew(stranger: Path) -> None:
    lift(stranger)
    (file,) = (stranger.parent / "cache").rglob("*plugin.lift-*.kernel")
    whole = file.read_bytes()
    for damaged in (b"", whole[:1000], whole[:-1] + bytes([whole[-1] ^ 1])):
        file.write_bytes(damaged)
        assert lift(stranger) == ["7.0", "1", "0"]
        assert lift(stranger) == ["7.0", "0", "1"]


def test_two_processes_at_once_share_the_work(stranger: Path) -> None:
    cache = stranger.parent / "cache"
    both = [begin(LIFT, stranger, cache) for _ in range(2)]
    outcomes = [end(process) for process in both]
    assert [value for value, *_ in outcomes] == ["7.0", "7.0"]
    assert sorted(misses for _, misses, _ in outcomes) == ["0", "1"]


def test_old_versions_do_not_pile_up(stranger: Path) -> None:
    code = """
import numpy as np
from rtemo.dsp import kernel_cache, kernel_runtime
for number in range(9):
    assert kernel_cache._keep(f"name-which-{number}.kernel", b"") == ""
"""
    end(begin(code, stranger, stranger.parent / "cache"))
    kept = sorted(path.name for path in (stranger.parent / "cache").rglob("*.kernel"))
    assert kept == [f"name-which-{number}.kernel" for number in range(5, 9)]


def test_every_kernel_works_where_nothing_can_be_written(stranger: Path) -> None:
    code = """
import numpy as np
from rtemo.dsp import kernel, kernel_cache
from rtemo.engine.ring import RingRows
from rtemo.io.sinks.play_ring import PlayRing
from rtemo.io.sources.capture_ring import CaptureRing
from stranger.plugin import lift
ring = RingRows(1, 4, 160)
ring.append(0, np.ones(160, np.float32), 1)
assert ring.slab.sum() == 160
assert CaptureRing(1, 16).callback_address and PlayRing(1, 16, 0).callback_address
assert lift(3.0) == 7.0
print(kernel_cache.problem)
"""
    assert " ".join(end(begin(code, stranger, "/dev/null/x"))).startswith("/dev/null/x/rtemo-kernels cannot be written")


def test_no_kernel_of_the_project_keeps_its_code_elsewhere() -> None:
    root = Path(__file__).parents[3]
    for folder in ("rtemo", "plugins", "models"):
        for path in (root / folder).rglob("*.py"):
            lines = path.read_text().splitlines()
            assert not [line for line in lines if "cache=True" in line and line.lstrip().startswith(("@", "return"))], (
                path
            )


def test_what_cannot_be_written_beside_the_package_goes_to_the_next_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_cache, "folders", lambda: (Path("/dev/null/package"), tmp_path / "user"))
    assert kernel_cache.writable_folder() == tmp_path / "user"
    assert kernel_cache._keep("name-which-version.kernel", b"code") == ""
    assert list(kernel_cache._kept("name-which-version.kernel")) == [b"code"]
    assert (tmp_path / "user" / "name-which-version.kernel").exists()
    assert [path.name for path in (tmp_path / "user").iterdir()] == ["name-which-version.kernel"]


def test_a_user_without_a_home_has_only_the_folder_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_cache, "named_folder", lambda: "")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert len(kernel_cache.folders()) == 2
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # what Python does when nobody knows the user
    assert [folder.parent.parent.name for folder in kernel_cache.folders()] == ["dsp"]


READING = """
import sys
import numpy as np
from rtemo.dsp import kernel_cache, kernel_runtime
from rtemo.dsp.kernel import kernel

@kernel
def own_memory(n):
    table = {}
    for i in range(n):
        table[i % 7] = i
    line = np.arange(n)[::-1] * 1.0
    line.sort()
    return len(table) + line[3]

@kernel
def refuses(x):
    if x > 0:
        raise ValueError("no")
    return np.dot(np.eye(2), np.ones(2)).sum()

steps = []
kernel_cache.watchers.append(lambda names, step: steps.append(step))
assert own_memory(20) == 10.0
before = "numba.np.linalg" in sys.modules, "scipy.linalg" in sys.modules
try:
    refuses(1)
except ValueError as error:
    assert str(error) == "no"
assert refuses(0) == 2.0
print(*steps, *before)
"""


def test_kernels_are_read_without_what_compiling_them_needs(tmp_path: Path) -> None:
    program = tmp_path / "reading.py"
    program.write_text(READING)
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "kernels")}
    said = [
        subprocess.run([sys.executable, program], env=environment, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert said[0].split() == ["missing", "compiled", "missing", "compiled", "True", "True"]
    assert said[1].split() == ["loaded", "loaded", "False", "False"]


def test_numba_that_is_built_otherwise_loads_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    class Otherwise:
        refreshed = 0

        def codegen(self) -> Any:
            raise AttributeError("codegen")

        def refresh(self) -> None:
            self.refreshed += 1

    context = Otherwise()
    monkeypatch.setattr(kernel_runtime._runtime.rtsys, "_init", False)
    kernel_runtime.prepare(context, lambda name: (), lambda name, payload: "")
    assert context.refreshed == 1
