"""Picture: confusion, scores and abstention of an evaluation, drawn by matplotlib."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rtemo.api import EMOTIONS, ConfigError
from rtemo.cli.evaluation.result import Result, System
from rtemo.cli.evaluation.scores import NOTHING

SUFFIXES = (".png", ".svg", ".pdf")


def check_picture(path: Path) -> None:
    """Refuse what cannot be drawn, before hours are spent on it.

    Raises:
        ConfigError: The format is not known, or matplotlib is missing.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"--picture {path} is of no known format", f"let it end in {' or '.join(SUFFIXES)}")
    if find_spec("matplotlib") is None:
        raise ConfigError(
            "--picture needs matplotlib, which is not installed", "install the extra: pip install 'rtemo[plots]'"
        )


def draw(result: Result, path: Path) -> None:
    """Draw an evaluation into a file.

    Raises:
        ConfigError: The file cannot be written.
    """
    from matplotlib.figure import Figure

    systems = [system for system in result.systems if system.scores.uar is not None]
    figure = Figure(figsize=(5.2 * max(len(systems), 1), 8.4), layout="constrained")
    if systems:
        axes = figure.subplots(2, len(systems), squeeze=False)
        for column, system in enumerate(systems):
            _confusion(axes[0][column], system)
        for extra in axes[1][2:]:
            extra.remove()
        _abstention(axes[1][0], systems)
        if len(systems) > 1:
            _scores(axes[1][1], systems)
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise ConfigError(f"--picture {path} cannot be written ({error.strerror})", "choose another place") from None


def _confusion(axes: Any, system: System) -> None:
    truths = list(system.scores.confusion)
    said = [name for name in (*EMOTIONS, NOTHING) if any(row[name] for row in system.scores.confusion.values())]
    counts = [[system.scores.confusion[truth][name] for name in said] for truth in truths]
    shares = [[count / max(sum(row), 1) for count in row] for row in counts]
    axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    axes.set_xticks(range(len(said)), said, rotation=45, ha="right")
    axes.set_yticks(range(len(truths)), truths)
    axes.set_xlabel("said")
    axes.set_ylabel("truth")
    for y, row in enumerate(counts):
        for x, count in enumerate(row):
            axes.text(x, y, count, ha="center", va="center", color="white" if shares[y][x] > 0.5 else "black")
    uar = system.scores.uar
    axes.set_title(f"{system.name}\nUAR {uar.value:.3f}" if uar is not None else system.name)


def _abstention(axes: Any, systems: list[System]) -> None:
    for system in systems:
        points = system.scores.abstention
        axes.plot([p.committed for p in points], [p.accuracy for p in points], marker="o", label=system.name)
        if system.scores.committed and system.scores.accuracy_committed is not None:
            axes.plot(system.scores.committed, system.scores.accuracy_committed, "k*", markersize=12)
    axes.set_xlabel("share of clips committed, surest first (star: as configured)")
    axes.set_ylabel("accuracy of these")
    axes.set_ylim(0, 1.02)
    axes.legend()


def _scores(axes: Any, systems: list[System]) -> None:
    for place, system in enumerate(systems):
        for offset, name in enumerate(("uar", "accuracy", "macro_f1")):
            found = getattr(system.scores, name)
            low, high = (found.low, found.high) if found.low is not None else (found.value, found.value)
            at = place + 0.25 * (offset - 1)
            axes.bar(at, found.value, 0.24, color=f"C{offset}", label=name.replace("_", "-") if not place else None)
            axes.errorbar(at, found.value, [[max(found.value - low, 0)], [max(high - found.value, 0)]], color="black")
    axes.set_xticks(range(len(systems)), [system.name for system in systems])
    axes.set_ylim(0, 1)
    axes.legend()
