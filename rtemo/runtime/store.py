"""ModelStore: finds model bundles, checks them, and lends each as one shared handle."""

import difflib
import importlib.util
import logging
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, PackageNotFoundError, version
from pathlib import Path

import msgspec

from rtemo import extensions
from rtemo.api import (
    FromFile,
    FromPackage,
    ModelCard,
    ModelError,
    ModelHandle,
    PackageFile,
    SentenceHandle,
    SpeechHandle,
    VoiceHandle,
)
from rtemo.runtime.cache import BundleCache
from rtemo.runtime.card import fault_of
from rtemo.runtime.graph import GraphError, check_graph
from rtemo.runtime.options import RuntimeOptions
from rtemo.runtime.places import FilePlaces, WantedFile

SHIPPED = "rtemo-weights"
CARD_FILE = "card.json"
_LOG = logging.getLogger("rtemo.runtime")

MAX_CARD_BYTES = 1 << 20


def installed() -> dict[str, EntryPoint]:
    """List the entry points of all installed bundles by name, without importing them.

    Each names a package whose folder holds `card.json` and, most often, the weights.
    """
    return extensions.installed(extensions.BUNDLES)


class Bundle:
    """A folder with a card, and where its files lie.

    Args:
        folder: Where `card.json` is.
        folders: Folders that may hold weights, before those of `RTEMO_MODELS`.
        called: What the user calls it; the name on the card when empty.

    Attributes:
        folder: Where `card.json` is.
        card: What it says.
        places: Where its files may lie.
    """

    def __init__(self, folder: Path, folders: Sequence[str] = (), called: str = "") -> None:
        self.folder = folder
        self.card = _read_card(folder)
        self._called = called or self.card.name
        self.cache = BundleCache(self.card.name, {wanted.base: wanted.sha256 for wanted in self.wanted()})
        self.places = FilePlaces(folder, folders, self.cache)

    def wanted(self) -> tuple[WantedFile, ...]:
        """List the files that the model needs, the weights first."""
        card, called = self.card, self._called
        package, colon, name = card.weights.rpartition(":")
        sources = card.sources
        if colon:
            sources = (FromPackage(file=PackageFile(package=package, path=name)), *sources)
        size_bytes = card.weights_bytes
        weights = WantedFile(card.name, called, "the weights", name, card.sha256, size_bytes, sources, not colon)
        others = (
            WantedFile(card.name, called, f"the contents of {name!r}", name, file.sha256, file.size_bytes, file.sources)
            for name, file in card.files.items()
        )
        return (weights, *others)

    @property
    def is_optional(self) -> bool:
        """Whether its weights are brought by an extra or fetched, and need not be here."""
        return any(not isinstance(source, FromFile) for source in self.card.sources)

    def weights_path(self) -> Path:
        """Find the weights where they are one file: what would be read, whether or not it is the right one.

        Raises:
            ModelError: There is no such file, or a path of the card leaves its folder.
        """
        weights = self.wanted()[0]
        for place in self.places.of(weights):
            if place.is_there and len(place.paths) == 1:
                return place.paths[0]
        raise self.places.missing(weights)

    def read_weights(self) -> bytes:
        """Read the weights and prove that they are the ones the card describes.

        Raises:
            ModelError: They are missing, of the wrong size or of the wrong hash.
        """
        return self.places.read(self.wanted()[0])[0]

    def read_files(self, keep: bool = True) -> dict[str, bytes]:
        """Read all files and prove each: file name without folders → contents, the weights first.

        Where some of them are in the user's cache, all are kept there, so that the folder is whole by itself.

        Args:
            keep: Whether anything is written to the user's cache; who only checks writes nothing.

        Raises:
            ModelError: One is missing, of the wrong size or of the wrong hash.
        """
        read = {wanted.base: self.places.read(wanted, keep) for wanted in self.wanted()}
        if keep and any(place.kind in ("parts", "cache") for _, place in read.values()):
            kept = {name for name in read if self.cache.holds(name)}
            if kept and kept != set(read):
                with self.cache.alone():
                    for name in set(read) - kept:
                        self.cache.keep(name, read[name][0])
        return {name: data for name, (data, _) in read.items()}


def find(name: str, folders: Sequence[str] = ()) -> Bundle:
    """Find a bundle by its installed name, or by the path of its folder.

    Args:
        name: Entry point name, or a path; what holds a separator or is an existing folder with a card is a path.
        folders: Folders that may hold its weights (`runtime.folders`).

    Raises:
        ModelError: There is no such bundle, or its card is not readable.
    """
    points = installed()
    if name in points:
        return Bundle(_module_folder(points[name]), folders, name)
    folder = Path(name).expanduser()
    if (folder / CARD_FILE).is_file() or "/" in name or "\\" in name:
        return Bundle(folder, folders, name)
    near = difflib.get_close_matches(name, points, n=1)
    if near:
        mend = f"did you mean {near[0]!r}?"
    elif not _is_installed(SHIPPED):
        mend = f"the weights that rtemo ships are a package of their own, {SHIPPED}: pip install ./models/weights"
    else:
        mend = "install the package that brings it, or give the path of its folder"
    raise ModelError(f"there is no model bundle {name!r} (installed: {', '.join(points) or 'none'})", mend)


_ELSEWHERE = {"ctranslate2": ("a speech model", "speech"), "sentence": ("an encoder of sentences", "sentence")}
"""What runs a bundle that is no graph → what that is, and how a plugin gets it."""

_RUN_BY = {"ctranslate2": ("ctranslate2", "faster_whisper"), "sentence": ("tokenizers",)}
"""What runs a bundle → packages of an extra without which it cannot."""

_EXTRAS = {
    "ctranslate2": ("the speech model", "rtemo[words]"),
    "sentence": ("the encoder of sentences", "rtemo[meaning]"),
}


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
        self._speech: dict[str, SpeechHandle] = {}
        self._voices: dict[str, VoiceHandle] = {}
        self._sentence: dict[str, SentenceHandle] = {}

    def load(self, name: str) -> ModelHandle:
        """Find, check and load a bundle, or lend the one already loaded.

        Raises:
            ModelError: Anything about the bundle is wrong; the text says what and how to mend it.
        """
        if name not in self._handles:
            bundle = self._find(name)
            if bundle.card.runtime != "onnx":
                what, way = _ELSEWHERE[bundle.card.runtime]
                raise ModelError(
                    f"{bundle.card.name!r} is {what}, which does not run hop by hop",
                    f"a plugin gets it in its lane, by `context.{way}`",
                )
            data = bundle.read_weights()
            self._check(bundle, data)
            _warn_of_stranger(bundle)
            self._handles[name] = _open_handle(bundle.card, data, self._options)
        return self._handles[name]

    def card(self, name: str) -> ModelCard:
        """Find a bundle that others will load, and read its card alone.

        Raises:
            ModelError: There is no such bundle, its card is not readable, or its files or what runs it are not here.
        """
        bundle = self._find(name)
        for module in _RUN_BY.get(bundle.card.runtime, ()):
            if importlib.util.find_spec(module) is None:
                raise _cannot_run(bundle, module)
        for wanted in bundle.wanted():
            if bundle.places.find(wanted) is None:
                raise bundle.places.missing(wanted)
        return bundle.card

    def speech(self, name: str) -> SpeechHandle:
        """Find, check and load a speech model, or lend the one already loaded.

        Raises:
            ModelError: Anything about the bundle is wrong, or the extra that runs it is not installed.
        """
        if name not in self._speech:
            bundle = self._find(name)
            if bundle.card.runtime != "ctranslate2":
                raise ModelError(
                    f"{bundle.card.name!r} is run by {bundle.card.runtime} and is no speech model",
                    "name a bundle whose card says `runtime: ctranslate2`",
                )
            self._speech[name] = _open_speech(bundle, self._options)
        return self._speech[name]

    def voice(self, name: str) -> VoiceHandle:
        """Find, check and load a model that speaks, or lend the one already loaded.

        Raises:
            ModelError: Anything about the bundle is wrong, or it is no such model.
        """
        if name not in self._voices:
            bundle = self._find(name)
            if bundle.card.task != "voice":
                raise ModelError(
                    f"{bundle.card.name!r} is for {bundle.card.task} and does not speak",
                    "name a bundle whose card says `task: voice`",
                )
            files = bundle.read_files()
            self._check(bundle, next(iter(files.values())))
            _warn_of_stranger(bundle)
            from rtemo.runtime.voice import OnnxVoice  # costs 130 ms, so only who speaks pays

            self._voices[name] = OnnxVoice(bundle.card, files, self._options.device, self._options.speech_threads)
        return self._voices[name]

    def sentence(self, name: str) -> SentenceHandle:
        """Find, check and load an encoder of sentences, or lend the one already loaded.

        Raises:
            ModelError: Anything about the bundle is wrong, or the extra that runs it is not installed.
        """
        if name not in self._sentence:
            bundle = self._find(name)
            if bundle.card.runtime != "sentence":
                raise ModelError(
                    f"{bundle.card.name!r} is run by {bundle.card.runtime} and encodes no sentences",
                    "name a bundle whose card says `runtime: sentence`",
                )
            self._sentence[name] = _open_sentence(bundle)
        return self._sentence[name]

    @property
    def hashes(self) -> dict[str, str]:
        """Name → sha256 of what has been loaded."""
        handles: dict[str, ModelHandle | SpeechHandle | VoiceHandle | SentenceHandle] = {
            **self._handles,
            **self._speech,
            **self._voices,
            **self._sentence,
        }
        return {name: handle.card.sha256 for name, handle in handles.items()}

    def _check(self, bundle: Bundle, data: bytes) -> None:
        try:
            check_graph(data)
        except GraphError as error:
            raise ModelError(
                f"the weights of {bundle.card.name!r} {error}", "export the model again as one ONNX file"
            ) from error

    def _find(self, name: str) -> Bundle:
        return find(self._places.get(name, name), self._options.folders)


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


def _open_speech(bundle: Bundle, options: RuntimeOptions) -> SpeechHandle:
    try:
        from rtemo.runtime.ctranslate2 import Ctranslate2Speech
    except ImportError as error:
        raise _cannot_run(bundle, error.name or str(error)) from error
    files = bundle.read_files()
    _warn_of_stranger(bundle)
    return Ctranslate2Speech(bundle.card, files, options.device, half=options.half, threads=options.speech_threads)


def _open_sentence(bundle: Bundle) -> SentenceHandle:
    try:
        from rtemo.runtime.sentence import MiniLmSentence
    except ImportError as error:
        raise _cannot_run(bundle, error.name or str(error)) from error
    files = bundle.read_files()
    _warn_of_stranger(bundle)
    return MiniLmSentence(bundle.card, files)


def _cannot_run(bundle: Bundle, module: str) -> ModelError:
    what, extra = _EXTRAS[bundle.card.runtime]
    return ModelError(
        f"{what} {bundle.card.name!r} cannot be run: {module} is not installed",
        f"install the extra, as `pip install '{extra}'`",
    )


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
    except (msgspec.DecodeError, RecursionError) as error:
        raise ModelError(f"the card {path} is not valid ({error})", mend) from error
    names = [*card.inputs, *card.states, *card.constants]
    if len(set(names)) < len(names):
        raise ModelError(f"the card {path} names an input twice", mend)
    problem = fault_of(card)
    if problem:
        raise ModelError(f"the card {path} {problem}", mend)
    return card
