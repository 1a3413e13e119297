"""The bundles that this release knows: hashes of their cards and weights, written down when it was made.

A card states the hash of its weights, so weights that were changed are found; who changes both is found here. The
list is no signature: it vouches for a bundle as far as one trusts the copy of rtemo that holds it.

    python -m rtemo.runtime.known          # write the list anew from what is installed, before a release
"""

import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Literal

import msgspec

from rtemo.runtime.store import CARD_FILE, Bundle, find, installed

LIST_FILE = "known_bundles.json"

Standing = Literal["known", "changed", "unknown"]
"""`known`: as at the release; `changed`: of a known name, but not what the release had; `unknown`: of another name."""


class KnownBundle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a bundle was at the release."""

    version: str
    card_sha256: str
    weights_sha256: str


def known_bundles() -> dict[str, KnownBundle]:
    """Read the list that came with this release: name → what it was."""
    text = files("rtemo.runtime").joinpath(LIST_FILE).read_bytes()
    return msgspec.json.decode(text, type=dict[str, KnownBundle])


def describe_bundle(bundle: Bundle) -> KnownBundle:
    """Hash a bundle as the list does."""
    card = (bundle.folder / CARD_FILE).read_bytes()
    return KnownBundle(bundle.card.version, hashlib.sha256(card).hexdigest(), bundle.card.sha256.lower())


def standing(bundle: Bundle) -> Standing:
    """Tell whether this release knows a bundle; its weights are proved by `Bundle.read_weights`."""
    expected = known_bundles().get(bundle.card.name)
    if expected is None:
        return "unknown"
    return "known" if describe_bundle(bundle) == expected else "changed"


def render_list() -> bytes:
    """Make the list of what is installed, with the newline at its end."""
    listed = {name: describe_bundle(find(name)) for name in sorted(installed())}
    return msgspec.json.format(msgspec.json.encode(listed), indent=2) + b"\n"


if __name__ == "__main__":
    path = Path(__file__).with_name(LIST_FILE)
    path.write_bytes(render_list())
    print(path)
