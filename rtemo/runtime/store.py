"""ModelStore: finds model bundles, checks them, and lends each as one shared handle."""

import difflib
import hashlib
import importlib.util
import logging
from collections.abc import Mapping
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from pathlib import Path

import msgspec

from rtemo.api import ModelCard, ModelError, ModelHandle
from rtemo.runtime.card import fault_of
from rtemo.runtime.graph import GraphError, check_graph
from rtemo.runtime.options import RuntimeOptions

GROUP = "rtemo.bundles"
SHIPPED = "rtemo-weights"
CARD_FILE = "card.json"
_LOG = logging.getLogger("rtemo.runtime")

MAX_CARD_BYTES = 1 << 20
MAX_WEIGHTS_BYTES = 2 << 30


def installed() -> dict[str, EntryPoint]:
    """List the entry points of all installed bundles by name, without importing them.

    Each names a package whose folder holds `card.json` and, most often, the weights.
    """
    return {point.name: point for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)}


class Bundle:
    """A folder with a card, and where its weights lie.

    Attributes:
        folder: Where `card.json` is.
        card: What it says.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.card = _read_card(folder)

    def weights_path(self) -> Path:
        """Find the weights file, in this folder or inside the package the card names.

        Raises:
            ModelError: The package is not installed, or the path leaves its folder.
        """
        package, colon, inside = self.card.weights.rpartition(":")
        folder = self._package_folder(package) if colon else self.folder
        path = (folder / inside).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise ModelError(
                f"the card of {self.card.name!r} puts its weights outside its folder ({self.card.weights!r})",
                "weights must lie beside the card or inside a package",
            )
        return path

    def read_weights(self) -> bytes:
        """Read the weights and prove that they are the ones the card describes.

        What is returned is what was hashed: the file is read once.

        Raises:
            ModelError: The file is missing, of the wrong size or hash, or refers to external data.
        """
        card, path = self.card, self.weights_path()
        again = f"install {card.name!r} again"
        try:
            size_bytes = path.stat().st_size
            is_sane = size_bytes == card.weights_bytes if card.weights_bytes else 0 < size_bytes <= MAX_WEIGHTS_BYTES
            data = path.read_bytes() if is_sane else b""
        except OSError as error:
            raise ModelError(
                f"the weights of {card.name!r} cannot be read ({path}: {error.strerror})", again
            ) from error
        if not is_sane:
            expected = card.weights_bytes or f"1 to {MAX_WEIGHTS_BYTES}"
            raise ModelError(
                f"the weights of {card.name!r} are damaged: {path} has {size_bytes} bytes, expected {expected}", again
            )
        digest = hashlib.sha256(data).hexdigest()
        if digest != card.sha256.lower():
            raise ModelError(
                f"the weights of {card.name!r} are not those of its card: {path} has sha256 {digest[:12]}…, "
                f"expected {card.sha256[:12]}…",
                f"{again}, or correct `sha256` in {self.folder / CARD_FILE} if you changed the weights yourself",
            )
        return data

    def _package_folder(self, package: str) -> Path:
        name, *inner = package.split(".")
        spec = importlib.util.find_spec(name) if name.isidentifier() else None
        if spec is None or not spec.submodule_search_locations:
            raise ModelError(
                f"{self.card.name!r} takes its weights from the package {package!r}, which is not installed",
                f"install it, for example with `pip install {package.replace('_', '-')}`",
            )
        return Path(next(iter(spec.submodule_search_locations)), *inner)


def find(name: str) -> Bundle:
    """Find a bundle by its installed name, or by the path of its folder.

    Args:
        name: Entry point name, or a path; what holds a separator or is an existing folder with a card is a path.

    Raises:
        ModelError: There is no such bundle, or its card is not readable.
    """
    points = installed()
    if name in points:
        return Bundle(_module_folder(points[name]))
    folder = Path(name).expanduser()
    if (folder / CARD_FILE).is_file() or "/" in name or "\\" in name:
        return Bundle(folder)
    near = difflib.get_close_matches(name, points, n=1)
    if near:
        mend = f"did you mean {near[0]!r}?"
    elif not _is_installed(SHIPPED):
        mend = f"the weights that rtemo ships are a package of their own, {SHIPPED}: pip install ./models/weights"
    else:
        mend = "install the package that brings it, or give the path of its folder"
    raise ModelError(f"there is no model bundle {name!r} (installed: {', '.join(points) or 'none'})", mend)


class ModelStore:
    """Loads bundles on request and lends every caller of one name the same handle.

    Args:
        options: What runs the models, and where.
        places: Bundle name → folder to take it from instead of the installed one.
    """

    def __init__(self, options: RuntimeOptions | None = None, places: Mapping[str, str] | None = None) -> None:
        self._options = options or RuntimeOptions()
        self._places = dict(places or {})
        self._handles: dict[str, ModelHandle] = {}

    def load(self, name: str) -> ModelHandle:
        """Find, check and load a bundle, or lend the one already loaded.

        Raises:
            ModelError: Anything about the bundle is wrong; the text says what and how to mend it.
        """
        if name not in self._handles:
            bundle = find(self._places.get(name, name))
            data = bundle.read_weights()
            try:
                check_graph(data)
            except GraphError as error:
                raise ModelError(
                    f"the weights of {bundle.card.name!r} {error}", "export the model again as one ONNX file"
                ) from error
            _warn_of_stranger(bundle)
            self._handles[name] = _open_handle(bundle.card, data, self._options)
        return self._handles[name]

    def card(self, name: str) -> ModelCard:
        """Find a bundle and read its card alone.

        Raises:
            ModelError: There is no such bundle, or its card is not readable.
        """
        return find(self._places.get(name, name)).card

    @property
    def hashes(self) -> dict[str, str]:
        """Name → sha256 of what has been loaded."""
        return {name: handle.card.sha256 for name, handle in self._handles.items()}


def _is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def _open_handle(card: ModelCard, data: bytes, options: RuntimeOptions) -> ModelHandle:
    is_on_cpu = options.device == "cpu"
    if options.back_end == "onnx" or (options.back_end == "auto" and is_on_cpu):
        from rtemo.runtime.onnx import OnnxHandle  # costs 130 ms, so only who needs a model pays

        return OnnxHandle(card, data, options.device)
    try:
        from rtemo.runtime.torch import TorchHandle
    except ImportError as error:
        raise ModelError(
            f"models cannot run on {options.device!r} by torch: {error.name or error} is not installed",
            "install the extra, as `pip install 'rtemo[gpu]'`, or use runtime.device = 'cpu'",
        ) from error
    return TorchHandle(card, data, options.device, half=options.half and not is_on_cpu, exact=is_on_cpu)


def _warn_of_stranger(bundle: Bundle) -> None:
    from rtemo.runtime.known import standing

    found = standing(bundle)
    if found != "known":
        what = "not known to this release" if found == "unknown" else "not the one of this name that this release knows"
        _LOG.warning(
            "the model bundle %r in %s is %s; `rtemo bundle verify` tells more", bundle.card.name, bundle.folder, what
        )


def _module_folder(point: EntryPoint) -> Path:
    try:
        spec = importlib.util.find_spec(point.module)
    except ImportError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(
            f"bundle {point.name!r} is registered as {point.value!r}, which is not a package",
            "reinstall the package that brings it",
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _read_card(folder: Path) -> ModelCard:
    path = folder / CARD_FILE
    try:
        with path.open("rb") as file:
            text = file.read(MAX_CARD_BYTES + 1)
    except OSError as error:
        raise ModelError(
            f"{folder} is not a model bundle ({CARD_FILE}: {error.strerror})", "give a folder that holds a card"
        ) from error
    mend = f"correct {path} or reinstall the bundle"
    if len(text) > MAX_CARD_BYTES:
        raise ModelError(f"the card {path} is larger than {MAX_CARD_BYTES} bytes", mend)
    try:
        card = msgspec.json.decode(text, type=ModelCard)
    except msgspec.DecodeError as error:
        raise ModelError(f"the card {path} is not valid ({error})", mend) from error
    names = [*card.inputs, *card.states, *card.constants]
    if len(set(names)) < len(names):
        raise ModelError(f"the card {path} names an input twice", mend)
    problem = fault_of(card)
    if problem:
        raise ModelError(f"the card {path} {problem}", mend)
    return card
