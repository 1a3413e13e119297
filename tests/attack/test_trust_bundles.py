"""Who brings other weights under a known name is found out, and a stranger is named."""

import hashlib
import shutil

import pytest

from rtemo.runtime import ModelStore
from rtemo.runtime.known import LIST_FILE, known_bundles, render_list, standing
from rtemo.runtime.store import CARD_FILE, Bundle, find, installed
from tests.fakes.bundles import summing_card, summing_model, write_bundle
from tests.fakes.program import ROOT, call

pytestmark = pytest.mark.unit


def test_list_of_known_bundles_is_that_of_the_bundles_in_this_tree() -> None:
    stored = (ROOT / "rtemo/runtime" / LIST_FILE).read_bytes()
    assert stored == render_list(), "write it anew: make bundles"


def test_every_installed_bundle_is_known() -> None:
    assert set(known_bundles()) == set(installed())
    assert {standing(find(name)) for name in installed()} == {"known"}


def forged(folder):
    """The gem bundle with other weights, and a card that states their hash."""
    shutil.copytree(find("gem").folder, folder)
    card = Bundle(folder).card
    weights = summing_model()
    (folder / card.weights).write_bytes(weights)
    text = (folder / CARD_FILE).read_text()
    text = text.replace(card.sha256, hashlib.sha256(weights).hexdigest()).replace(
        f'"weights_bytes": {card.weights_bytes}', f'"weights_bytes": {len(weights)}'
    )
    (folder / CARD_FILE).write_text(text)
    return folder


def test_verify_tells_known_changed_unknown_and_damaged_apart(tmp_path, capsys) -> None:
    done = call(capsys, "bundle", "verify", "gem", "ranker")
    assert (done.code, done.out.count("as this release was made with")) == (0, 2)
    other = forged(tmp_path / "forged")
    stranger = write_bundle(tmp_path / "toy", summing_model(), summing_card())
    damaged = shutil.copytree(find("gem").folder, tmp_path / "damaged")
    (damaged / Bundle(damaged).card.weights).write_bytes(b"x")
    done = call(capsys, "bundle", "verify", "gem", other, stranger, damaged, tmp_path / "nowhere")
    assert done.code == 1
    lines = done.out.splitlines()
    words = ("as this release", "another card or other weights", "not known to this release", "damaged", "not a model")
    for line, word in zip(lines, words, strict=True):
        assert word in line


def test_a_changed_limit_in_a_card_is_found_though_the_weights_are_the_same(tmp_path) -> None:
    folder = shutil.copytree(find("gem").folder, tmp_path / "gem")
    assert standing(Bundle(folder)) == "known"
    card = folder / CARD_FILE
    card.write_text(card.read_text().replace('"version": "', '"version":  "'))
    Bundle(folder).read_weights()
    assert standing(Bundle(folder)) == "changed"


def test_loading_a_stranger_warns_in_one_line_and_a_known_bundle_does_not(tmp_path, caplog) -> None:
    ModelStore().load("gem")
    assert caplog.messages == []
    ModelStore().load(str(write_bundle(tmp_path, summing_model(), summing_card())))
    (message,) = caplog.messages
    assert "'toy'" in message
    assert "not known to this release" in message
    assert message.isprintable()
