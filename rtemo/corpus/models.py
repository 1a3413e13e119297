"""CorpusModels: the networks that the stages need, found by what their cards say they are for."""

from functools import cached_property

from rtemo.api import ModelError, SpeechHandle
from rtemo.corpus.speech import SpeechFinder
from rtemo.runtime.options import RuntimeOptions
from rtemo.runtime.store import ModelStore, find, installed
from rtemo.voice.speaker import SpeakerEmbedder


def bundle_for(task: str = "", runtime: str = "") -> str:
    """Name the installed bundle for a task, or one that something runs; the first by name.

    Raises:
        ModelError: There is none.
    """
    for name in installed():
        try:
            card = find(name).card
            if task in ("", card.task) and runtime in ("", card.runtime):
                return name
        except ModelError:  # a broken one is no reason not to look at the others
            continue
    raise ModelError(f"no bundle for {task or runtime} is installed", "install rtemo again, with its bundles")


class CorpusModels:
    """Loads each network when it is first asked for.

    Args:
        options: What runs them.
    """

    def __init__(self, options: RuntimeOptions | None = None) -> None:
        self._store = ModelStore(options)

    @cached_property
    def finder(self) -> SpeechFinder:
        """What tells where somebody speaks."""
        return SpeechFinder(self._store.load(bundle_for("voice activity")))

    @cached_property
    def embedder(self) -> SpeakerEmbedder:
        """What tells voices apart."""
        return SpeakerEmbedder(self._store.load(bundle_for("speaker")))

    @cached_property
    def writer(self) -> SpeechHandle:
        """What writes down what is said.

        Raises:
            ModelError: The extra `words` or the weights are missing.
        """
        return self._store.speech(bundle_for(runtime="ctranslate2"))
