"""A speech model in the form of CTranslate2 writes down what is said in the example call, from two joined packages."""

import platform
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

from rtemo.api import ModelError
from rtemo.api.format import StreamFormat
from rtemo.engine.lane_worker import LentContext
from rtemo.runtime import ModelStore
from rtemo.runtime.options import RuntimeOptions
from rtemo.runtime.places import FOLDERS_VARIABLE, MissingFileError
from rtemo.runtime.store import find
from tests.fakes.bundles import summing_card, summing_model, write_bundle
from tests.fakes.parts import parted_card, write_card, write_packages
from tests.fakes.program import ROOT

pytestmark = pytest.mark.unit

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def environment(cache, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.delenv(FOLDERS_VARIABLE, raising=False)


@pytest.fixture(scope="module")
def store(cache) -> ModelStore:
    pytest.importorskip("faster_whisper", reason="needs the extra rtemo[words]")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        store = ModelStore(RuntimeOptions(speech_threads=1))
        try:
            store.speech("whisper-base")
        except MissingFileError as error:
            pytest.skip(str(error))
    return store


def call_s(channel: int, start_s: float, end_s: float) -> np.ndarray:
    """A stretch of the example call at the rate of the model; both parties say RAVDESS sentences."""
    found, rate_hz = soundfile.read(
        ROOT / "examples/call.flac", dtype="float32", always_2d=True, start=int(start_s * 8000), stop=int(end_s * 8000)
    )
    assert rate_hz == RATE_HZ // 2
    return resample_poly(found[:, channel], 2, 1).astype(np.float32)


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def word_errors(spoken: str, written: str) -> int:
    """Levenshtein distance in words."""
    row = list(range(len(words_of(written)) + 1))
    for i, word in enumerate(words_of(spoken), 1):
        last, row[0] = row[:], i
        for j, other in enumerate(words_of(written), 1):
            row[j] = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (word != other))
    return row[-1]


@pytest.mark.parametrize(
    ("machine", "flags", "kind"),
    [
        ("x86_64", "flags : avx2 avx512_vnni", "int8"),
        ("AMD64", "flags : avx2 fma", "float32"),
        ("x86_64", None, "float32"),
        ("aarch64", None, "int8"),
    ],
)
def test_weights_are_bytes_only_where_the_processor_sums_their_products_exactly(
    monkeypatch, machine: str, flags: str | None, kind: str
) -> None:
    def read_text(path: Path) -> str:
        if flags is None:
            raise FileNotFoundError
        return flags

    ctranslate2 = pytest.importorskip(
        "rtemo.runtime.ctranslate2", reason="needs the extra rtemo[words]", exc_type=ImportError
    )
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(Path, "read_text", read_text)
    assert ctranslate2._compute_type("cpu", half=False) == kind


def test_example_call_is_written_down_with_language_and_times_of_words(store):
    handle = store.speech("whisper-base")
    kids, dogs = "Kids are talking by the door. ", "Dogs are sitting by the door. "
    first, silence, again = handle.transcribe([call_s(0, 5, 20), np.zeros(800, np.float32), call_s(0, 5, 20)])
    assert first.language == "en"
    assert first.language_probability > 0.8
    assert word_errors(kids + dogs + dogs + kids, first.text) <= 2, first.text  # of 24
    spans = [(word.start_s, word.end_s) for part in first.utterances for word in part.words]
    assert all(0.0 <= start_s <= end_s <= 15.0 for start_s, end_s in spans)
    assert spans == sorted(spans)
    onset_s = next(word.start_s for part in first.utterances for word in part.words if "dogs" in word.text.lower())
    assert onset_s == pytest.approx(6.8, abs=0.5), "dogs are first spoken of 11.8 s into the call"
    assert silence.utterances == ()
    assert again == first, "decoding is not sampled"


def test_encoder_gives_a_frame_for_every_20_ms_and_rows_do_not_touch_each_other(store):
    handle = store.speech("whisper-base")
    features = [handle.features(call_s(0, start_s, start_s + 2)) for start_s in (6, 12)]
    assert [part.shape for part in features] == [(80, 200)] * 2
    both = handle.encode(np.stack(features))
    assert both.shape == (2, 100, 512)
    assert both.dtype == np.float32
    np.testing.assert_allclose(both[1], handle.encode(features[1][None])[0], atol=0.05 * np.abs(both).max())
    for wrong in (features[0], np.zeros((1, 79, 10), np.float32), np.zeros((1, 80, 3001), np.float32)):
        with pytest.raises(ValueError, match="expected"):
            handle.encode(wrong)


def test_an_unknown_language_is_refused_and_a_known_one_is_not_sought(store):
    handle = store.speech("whisper-base")
    assert {"en", "de", "pl"} <= set(handle.languages)
    with pytest.raises(ValueError, match="does not know the language 'xx'"):
        handle.transcribe([], language="xx")


def test_a_lane_gets_the_speech_model_by_name_and_the_store_lends_one_to_all(store):
    assert store.speech("whisper-base") is store.speech("whisper-base")
    assert store.hashes == {"whisper-base": find("whisper-base").card.sha256}
    context = LentContext(StreamFormat(RATE_HZ, 160), lambda: store)
    (text,) = context.speech("whisper-base").transcribe([call_s(0, 6, 8.5)], language="en", words=False)
    assert word_errors("Kids are talking by the door.", text.text) <= 1
    assert text.language_probability == 1.0
    assert not any(part.words for part in text.utterances)
    with pytest.raises(ModelError, match="no model store"):
        LentContext(StreamFormat(RATE_HZ, 160), None).speech("whisper-base")


def test_a_graph_is_no_speech_model_and_a_speech_model_no_graph(tmp_path):
    folder = write_bundle(tmp_path / "toy", summing_model(), summing_card())
    with pytest.raises(ModelError, match="no speech model"):
        ModelStore().speech(str(folder))
    with pytest.raises(ModelError, match=r"context\.speech"):
        ModelStore().load("whisper-base")


def test_without_the_extra_one_sentence_names_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "rtemo.runtime.ctranslate2", raising=False)
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    with pytest.raises(ModelError) as caught:
        ModelStore().speech("whisper-base")
    with pytest.raises(ModelError) as at_the_start:  # a plugin asks for the card of what its lane will load
        ModelStore().card("whisper-base")
    assert str(at_the_start.value) == str(caught.value)
    assert "pip install 'rtemo[words]'" in caught.value.mend
    assert "ctranslate2" in caught.value.problem


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "tpu"])
def test_a_device_that_is_not_there_is_one_sentence(store, device):
    import ctranslate2

    if device != "tpu" and ctranslate2.get_cuda_device_count():
        pytest.skip("there is a GPU here")
    with pytest.raises(ModelError, match=device) as caught:
        ModelStore(RuntimeOptions(device=device)).speech("whisper-base")
    assert caught.value.mend


def test_files_that_are_no_model_are_one_sentence(tmp_path, monkeypatch):
    pytest.importorskip("faster_whisper", reason="needs the extra rtemo[words]")
    monkeypatch.syspath_prepend(str(write_packages(tmp_path / "packages")))
    described = parted_card()
    folder = write_card(tmp_path / "a", described)
    with pytest.raises(ModelError, match=r"names no config\.json and no tokenizer\.json"):
        ModelStore().speech(str(folder))
    words = described.files["vocabulary.txt"]
    files = {"vocabulary.txt": words, "config.json": words, "tokenizer.json": words}
    folder = write_card(tmp_path / "b", parted_card(files=files))
    with pytest.raises(ModelError, match="no speech model that can be run on cpu") as caught:
        ModelStore().speech(str(folder))
    assert "\n" not in str(caught.value)
