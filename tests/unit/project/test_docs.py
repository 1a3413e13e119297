"""What the pages lead to exists."""

import re
import subprocess
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from rtemo.cli.lazy import GROUP
from rtemo.cli.main import VERBS
from rtemo.config import Policy

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def pages() -> list[Path]:
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*.md"))
    return sorted(ROOT / path for path in found if not re.search(r"(^|/)(\.|node_modules/)", path.as_posix()))


def anchors(page: Path) -> set[str]:
    """Names of the headings of a page, as they are linked to."""
    headings = re.findall(r"^#+ +(.*)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_every_party_of_the_call_that_readme_and_demo_play_is_analysed() -> None:
    for path in ("README.md", "tools/demo.sh"):
        found = re.findall(r"call\.flac\"? --roles (\S+)", (ROOT / path).read_text())
        assert found, path
        for roles in found:
            assert [Policy().rule(role).analysis for role in roles.split(",")] == ["person"] * 3, path


def test_every_link_to_a_file_or_heading_leads_there() -> None:
    count, broken = 0, []
    for page in pages():
        for link in LINK.findall(CODE.sub("", page.read_text())):
            if re.match(r"[a-z]+:", link):
                continue
            count += 1
            path, _, heading = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if not target.exists() or not target.is_relative_to(ROOT):
                broken.append(f"{page.relative_to(ROOT)}: {link} is not there")
            elif heading and heading not in anchors(target):
                broken.append(f"{page.relative_to(ROOT)}: {link} names no heading")
    assert count > 20
    assert not broken, "\n".join(broken)


def test_every_page_of_the_docs_is_linked_to_from_another() -> None:
    linked = set()
    for page in pages():
        paths = [link.partition("#")[0] for link in LINK.findall(page.read_text())]
        linked |= {(page.parent / path).resolve() for path in paths if path} - {page}
    lonely = [page.name for page in pages() if page.parent == ROOT / "docs" and page not in linked]
    assert not lonely


def commands() -> list[tuple[str, list[str]]]:
    """Page and words of every line of code that the pages hold: in fences, indented, or within a sentence."""
    found = []
    for page in pages():
        text = page.read_text()
        fenced = [line for block in re.findall(r"```\w*\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
        rest = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        lines = [*fenced, *re.findall(r"^ {4}(\S.*)$", rest, re.MULTILINE), *re.findall(r"`([^`\n]+)`", rest)]
        found += [(str(page.relative_to(ROOT)), line.partition(" #")[0].split()) for line in lines]
    return [(page, words) for page, words in found if len(words) > 1]


def test_every_make_target_that_a_page_names_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {(page, words[1]) for page, words in commands() if words[0] == "make"}
    assert len(named) > 5
    assert not [name for name in named if name[1] not in targets]


def test_every_verb_that_a_page_names_is_there() -> None:
    brought = {point.name for point in entry_points(group=GROUP)}
    named = {(page, words[1]) for page, words in commands() if words[0] == "rtemo" and re.match(r"[a-z]+$", words[1])}
    assert len(named) > 20
    assert not [name for name in named if name[1] not in {*VERBS, *brought}]


def test_every_module_that_a_page_runs_is_there() -> None:
    module = re.compile(r"-m ((?:rtemo|bench)\w*(?:\.\w+)*)(?= |$)")
    named = {(page, name) for page, words in commands() for name in module.findall(" ".join(words))}
    assert len(named) > 20
    for page, name in named:
        roots = [ROOT / part / Path(*name.split(".")) for part in ("", "models", "plugins")]
        is_there = any(root.with_suffix(".py").is_file() or (root / "__main__.py").is_file() for root in roots)
        assert is_there, f"{page}: python -m {name}"


def test_every_path_that_a_contributor_is_sent_to_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    paths = re.findall(r"`((?:rtemo|plugins|models|bench|tests|docs|requirements|tools)/[a-z0-9_./-]*)`", text)
    assert len(paths) > 20
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_help_lists_every_target() -> None:
    said = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    phony = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {line.split("\t")[0] for line in said.splitlines()} == set(" ".join(phony).split())
