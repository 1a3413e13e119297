"""A bundle whose weights are cut over two packages, and a vocabulary that one of them brings whole."""

import hashlib
from pathlib import Path

import msgspec
import numpy as np

from rtemo.api import BundleFile, FromPackage, FromParts, FromUrl, ModelCard, PackageFile
from tests.fakes.bundles import card

DATA = np.random.default_rng(5).bytes(3_000_000)
PARTS = (DATA[:1_700_000], DATA[1_700_000:])
WORDS = b"<unk>\nhello\n"
NAMES = ("rtemo_toy_part1", "rtemo_toy_part2")


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write_packages(folder: Path, parts: tuple[bytes, ...] = PARTS) -> Path:
    """Write both packages, which fail when they are imported."""
    for name, part in zip(NAMES, parts, strict=True):
        (folder / name / "data").mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise RuntimeError('imported')")
        (folder / name / "data" / "model.part").write_bytes(part)
    (folder / NAMES[0] / "data" / "vocabulary.txt").write_bytes(WORDS)
    return folder


def parted_card(url: str = "", **changes) -> ModelCard:
    """Describe them; with `url`, all files may also be fetched from there."""
    parts = tuple(
        PackageFile(package=name, path="data/model.part", size_bytes=len(part))
        for name, part in zip(NAMES, PARTS, strict=True)
    )
    words = PackageFile(package=NAMES[0], path="data/vocabulary.txt")
    fields = {
        "name": "parted",
        "weights": "model.bin",
        "sha256": sha256(DATA),
        "weights_bytes": len(DATA),
        "runtime": "ctranslate2",
        "licence": "MIT",
        "sources": (FromParts(parts=parts), *([FromUrl(url=f"{url}/model.bin")] if url else [])),
        "files": {
            "vocabulary.txt": BundleFile(
                sha256=sha256(WORDS),
                size_bytes=len(WORDS),
                sources=(FromPackage(file=words), *([FromUrl(url=f"{url}/vocabulary.txt")] if url else [])),
            )
        },
    }
    return card(**(fields | changes))


def write_card(folder: Path, described: ModelCard) -> Path:
    """Write a folder that holds a card and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "card.json").write_bytes(msgspec.json.encode(described))
    return folder
