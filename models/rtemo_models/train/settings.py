"""Settings of a recipe that are changed on the command line."""

import json
from collections.abc import Sequence
from typing import Any


def changes_of(told: Sequence[str]) -> dict[str, Any]:
    """Settings given as `name=value`, the value as JSON."""
    return {name: json.loads(value) for name, value in (setting.split("=", 1) for setting in told)}
