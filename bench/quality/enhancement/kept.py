"""Kept: results by the digest of what they were measured on, a JSON line each."""

import json
from pathlib import Path
from typing import Any


class Kept:
    """Results in one file, each written as soon as it is known; a run that was cut short goes on where it stopped.

    Args:
        folder: Where to; None keeps nothing beyond the run.
        name: Of the file: what was measured, and in which version.
    """

    def __init__(self, folder: Path | None, name: str) -> None:
        self._known: dict[str, dict[str, Any]] = {}
        self._path: Path | None = None
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / ("".join(c if c.isalnum() else "-" for c in name) + ".jsonl")
        if self._path.exists():
            text = self._path.read_text(encoding="utf-8")
            if text and not text.endswith("\n"):  # a run was cut off in the middle of a line
                text = text[: text.rfind("\n") + 1]
                self._path.write_text(text, encoding="utf-8")
            for line in text.splitlines():
                entry = json.loads(line)
                self._known.setdefault(entry.pop("digest"), {}).update(entry)

    def get(self, digest: str) -> dict[str, Any]:
        """Give what is known about something; empty when nothing is."""
        return self._known.get(digest, {})

    def add(self, digest: str, entry: dict[str, Any]) -> None:
        """Add to what is known."""
        self._known.setdefault(digest, {}).update(entry)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"digest": digest, **entry}) + "\n")
