"""The core names no plugin: what it must know of one the plugin declares."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from rtemo.extensions import PLUGINS, installed

pytestmark = pytest.mark.unit

CORE = Path(__file__).parents[3] / "rtemo"
OURS = [name for name, point in installed(PLUGINS).items() if point.value.startswith("rtemo_plugins")]
WORDS = ("vad", "merit", "gem", "ranker")
"""Names that are nothing else: these stand in no comment either. Others, as `level`, are words of the language too."""


def names_in(text: str, path: Path) -> Iterator[str]:
    """Find places that name a plugin: a bare word anywhere, or a text that is the name of one."""
    for number, line in enumerate(text.splitlines(), 1):
        for word in re.findall(rf"(?<![\w.])({'|'.join(WORDS)}|rtemo_plugins)\b", line):
            yield f"{path}:{number}: {word}"
    tree = ast.parse(text)
    tags = {
        id(keyword.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for keyword in node.keywords
        if keyword.arg == "tag"
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in OURS and id(node) not in tags:
            yield f"{path}:{node.lineno}: {node.value!r}"


def test_the_core_names_no_plugin() -> None:
    assert {"level", "vad", "prosody"} <= set(OURS)
    likewise = {"dsp", "cues"}  # whose kernels and measures have the same names
    files = [file for file in sorted(CORE.rglob("*.py")) if likewise.isdisjoint(file.parts)]
    found = [place for file in files for place in names_in(file.read_text(), file.relative_to(CORE))]
    assert found == []


@pytest.mark.parametrize(
    "text", ['chain = ("level",)', "# what merit does", 'x = options["vad"]', "from rtemo_plugins import x"]
)
def test_a_plugin_that_is_named_is_found(text: str) -> None:
    assert list(names_in(text, Path("x.py")))
