"""Who starts workers is chosen on the command line; what is missing or does not fit is told in one line."""

import sys

import pytest

from tests.fakes.program import call

pytestmark = pytest.mark.unit


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    for name in [name for name in sys.modules if name.startswith("rtemo.cluster.actors")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.usefixtures("no_ray")
def test_without_ray_the_extra_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "serve", "--workers", "1", "--cluster", "local", "--chain", "level")
    assert done.code == 2
    assert done.complaint == "rtemo: workers on other machines need Ray; run: pip install 'rtemo[cluster]'"


def test_a_cluster_needs_to_know_how_many_workers(capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "serve", "--cluster", "local")
    assert done.code == 2
    assert "add --workers N" in done.err


@pytest.mark.parametrize(
    ("words", "told"),
    [(("--workers", "2", "--pin"), "--pin keeps"), (("--workers", "auto"), "the processors of this machine")],
)
def test_what_is_an_affair_of_this_machine_is_refused(
    words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done = call(capsys, "serve", "--cluster", "local", *words)
    assert done.code == 2
    assert told in done.complaint
