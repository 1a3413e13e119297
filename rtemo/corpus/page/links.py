"""Links: a token for each rater, kept beside the corpus so that a link stays good when the server starts again."""

import re
import secrets
import tomllib
from collections.abc import Sequence
from pathlib import Path

from rtemo.api import ConfigError
from rtemo.io.whole_file import write_whole

TOKENS_FILE = "raters.toml"
_NAME = re.compile(r"[\w .@-]{1,40}")


def tokens_of(folder: Path, raters: Sequence[str] = ()) -> dict[str, str]:
    """Give the token of every rater, and make those of new ones.

    Args:
        folder: Of the corpus.
        raters: Names of raters that there are to be.

    Raises:
        ConfigError: A name cannot be one, there is no rater at all, or the file makes no sense.
    """
    path = folder / TOKENS_FILE
    found = {}
    if path.exists():
        try:
            found = {entry["name"]: entry["token"] for entry in tomllib.loads(path.read_text())["token"]}
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError, KeyError, TypeError) as error:
            raise ConfigError(f"{path} makes no sense ({error})", "mend it, or take it away for new links") from None
    for name in raters:
        if not _NAME.fullmatch(name) or name != name.strip():
            raise ConfigError(f"--rater got {name[:60]!r}", "give a name of letters, digits and ' .@-'")
    new = [name for name in dict.fromkeys(raters) if name not in found]
    found |= {name: secrets.token_urlsafe(24) for name in new}
    if not found:
        raise ConfigError("nobody is named who rates", "name each rater, as --rater anna --rater ben")
    if new:
        scopes = 'scopes = ["read", "mark"]'
        text = "".join(f'[[token]]\nname = "{name}"\ntoken = "{token}"\n{scopes}\n\n' for name, token in found.items())
        write_whole(path, text.encode())
    return found
