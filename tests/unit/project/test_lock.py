"""What requirements/ holds is what pyproject.toml asks for and what is installed; `make lock` writes it."""

import json
import os
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "requirements"
HASHED = ("base", "build", "frameworks", "test", "tools", "torch-gpu", "web")
PYTHONS, MACHINES = ("3.11", "3.12", "3.13"), (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"))
STALE = "run: make lock KEEP=1"


class Entry(NamedTuple):
    """One package of a lock."""

    requirement: Requirement
    hashes: list[str]

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> Version:
        (pin,) = self.requirement.specifier
        assert pin.operator == "=="
        return Version(pin.version)


def entries(stem: str) -> list[Entry]:
    text = (FOLDER / f"{stem}.txt").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [Entry(Requirement(line.partition("--hash")[0]), re.findall(r"--hash=(\S+)", line)) for line in lines]


def locked(*stems: str, environment: dict[str, str] | None = None) -> dict[str, Version]:
    """Name → version of what the files give to this machine, or to the one described."""
    found: dict[str, Version] = {}
    for entry in (entry for stem in stems for entry in entries(stem)):
        if entry.requirement.marker is None or entry.requirement.marker.evaluate(environment):
            assert found.setdefault(entry.name, entry.version) == entry.version, f"two versions of {entry.name}"
    return found


def asked(extra: str = "") -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lines = project["project"]["dependencies"] + project["project"]["optional-dependencies"].get(extra, [])
    lines += project["dependency-groups"]["build"] + project["build-system"]["requires"]
    return [Requirement(line) for line in lines]


def needed(requirement: Requirement, seen: set[tuple[str, frozenset[str]]]) -> Iterator[str]:
    """Names of all that is installed because of a requirement, itself included."""
    key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
    if key in seen:
        return
    seen.add(key)
    yield key[0]
    for text in distribution(requirement.name).requires or ():
        inner = Requirement(text)
        if inner.marker is None or any(
            inner.marker.evaluate({"extra": extra}) for extra in (requirement.extras or {""})
        ):
            yield from needed(inner, seen)


@pytest.mark.parametrize("stem", HASHED)
def test_every_locked_package_has_a_version_and_hashes_and_no_place(stem: str) -> None:
    for entry in entries(stem):
        assert entry.version
        assert entry.requirement.url is None
        assert entry.hashes, f"{entry.name} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", text) for text in entry.hashes)


def test_locks_name_no_package_index() -> None:
    for path in FOLDER.glob("*.txt"):
        assert not re.search(r"://|--(extra-)?index|--find-links|--trusted|^-i ", path.read_text(), re.MULTILINE), path


def test_node_example_is_locked_by_integrity_and_names_no_registry() -> None:
    lock = json.loads((ROOT / "examples" / "node" / "package-lock.json").read_text())
    asked = json.loads((ROOT / "examples" / "node" / "package.json").read_text())
    packages = {name: facts for name, facts in lock["packages"].items() if name}
    assert lock["packages"][""]["dependencies"] == asked["dependencies"]
    assert {f"node_modules/{name}" for name in asked["dependencies"]} <= packages.keys()
    for name, facts in packages.items():
        assert facts["integrity"].startswith("sha512-"), name
        assert "resolved" not in facts, name


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("machine", MACHINES, ids="-".join)
def test_lock_satisfies_all_ranges_on_every_machine(python: str, machine: tuple[str, str]) -> None:
    environment = default_environment() | {"python_version": python, "python_full_version": f"{python}.9"}
    environment |= {"sys_platform": machine[0], "platform_machine": machine[1]}
    environment["platform_system"] = {"linux": "Linux", "darwin": "Darwin"}[machine[0]]
    everything = ("frameworks", "torch")
    for stems, extra in (
        (("base", "build"), ""),
        (("base", "build", "test", "torch"), "test"),
        (everything, "test"),
        (everything, "pipecat"),
        (everything, "livekit"),
    ):
        versions = locked(*stems, environment=environment)
        for requirement in asked(extra):
            version = versions.get(canonicalize_name(requirement.name))
            assert version, f"{requirement.name} is not locked; {STALE}"
            assert requirement.specifier.contains(version), f"{requirement} is locked as {version}; {STALE}"


def test_all_that_the_project_and_its_tests_need_is_locked() -> None:
    versions = locked("build", "test", "torch", "torch-gpu")
    seen: set[tuple[str, frozenset[str]]] = set()
    for requirement in asked("test"):
        for name in needed(requirement, seen):
            assert name in versions, f"{name} (because of {requirement}) is not locked; {STALE}"
    assert len(seen) > len(asked("test"))


def test_base_lock_holds_all_that_rtemo_runs_with() -> None:
    versions = locked("base", "build")
    seen: set[tuple[str, frozenset[str]]] = set()
    for requirement in asked():
        for name in needed(requirement, seen):
            assert name in versions, f"{name} (because of {requirement}) is not in base.txt; {STALE}"
    assert locked("base").items() <= locked("test").items()


def test_web_lock_holds_all_that_the_server_runs_with_and_agrees_with_the_tests() -> None:
    versions = locked("web", "build")
    seen: set[tuple[str, frozenset[str]]] = set()
    for requirement in asked("web"):
        for name in needed(requirement, seen):
            assert name in versions, f"{name} (because of {requirement}) is not in web.txt; {STALE}"
    assert locked("base").items() <= locked("web").items() <= locked("test").items()


def test_torch_is_locked_without_the_libraries_of_its_gpu_build() -> None:
    assert [entry.name for entry in entries("torch")] == ["torch"]
    names = {entry.name for stem in ("base", "build", "test") for entry in entries(stem)}
    assert not [name for name in names if name.startswith(("nvidia-", "cuda-", "triton"))]


@pytest.mark.skipif("RTEMO_UNLOCKED" in os.environ, reason="these are the newest releases, not the locked ones")
def test_installed_versions_are_the_locked_ones() -> None:
    differing = {}
    for name, version in locked("build", "test", "torch").items():
        installed = Version(distribution(name).version)
        if installed.public != version.public:  # the CPU build of torch says so in its local version
            differing[name] = f"{installed} instead of {version}"
    assert not differing, "make installs what is locked anew when a lock changes; `make clean` starts afresh"
