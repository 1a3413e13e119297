import os
import stat
from pathlib import Path

import pytest
import zmq.auth

from rtemo.api import EndpointError
from rtemo.io.curve import generate_keys, load_allowed_keys, load_keys, load_public_key

pytestmark = pytest.mark.unit


def test_secret_key_file_belongs_to_its_owner_alone(tmp_path: Path) -> None:
    public, secret = generate_keys(tmp_path, "server")
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert b"secret" not in public.read_bytes()


def test_keys_come_back_from_their_files(tmp_path: Path) -> None:
    public, secret = generate_keys(tmp_path, "server")
    pair = load_keys(secret)
    assert load_public_key(str(public)) == pair.public
    assert load_public_key(pair.public.decode()) == pair.public
    assert zmq.curve_public(pair.secret) == pair.public


def test_other_programs_can_read_the_files(tmp_path: Path) -> None:
    _, secret = generate_keys(tmp_path, "server")
    assert zmq.auth.load_certificate(str(secret)) == tuple(load_keys(secret))


def test_keys_made_by_other_programs_can_be_read(tmp_path: Path) -> None:
    public, secret = zmq.auth.create_certificates(str(tmp_path), "other")
    os.chmod(secret, 0o600)
    assert load_keys(secret).public == load_public_key(public)


def test_existing_keys_are_not_overwritten(tmp_path: Path) -> None:
    _, secret = generate_keys(tmp_path, "server")
    before = secret.read_bytes()
    with pytest.raises(EndpointError, match="exists"):
        generate_keys(tmp_path, "server")
    assert secret.read_bytes() == before


@pytest.mark.skipif(os.name != "posix", reason="file modes are a matter of POSIX")
def test_secret_key_that_others_can_read_is_refused_with_the_command_to_run(tmp_path: Path) -> None:
    _, secret = generate_keys(tmp_path, "server")
    secret.chmod(0o640)
    with pytest.raises(EndpointError, match="other users") as caught:
        load_keys(secret)
    assert "chmod 600" in caught.value.mend


@pytest.mark.parametrize("text", ["", "hello", 'curve\n    public-key = "short"\n', "\x00\xff"])
def test_damaged_key_file_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "damaged.key_secret"
    file.write_text(text)
    file.chmod(0o600)
    for load in (load_keys, load_public_key):
        with pytest.raises(EndpointError, match="holds no CURVE"):
            load(str(file))


def test_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(EndpointError, match="nowhere"):
        load_keys(tmp_path / "nowhere")


def test_public_file_does_not_pass_for_a_secret_one(tmp_path: Path) -> None:
    public, _ = generate_keys(tmp_path, "server")
    public.chmod(0o600)
    with pytest.raises(EndpointError, match="no CURVE key pair"):
        load_keys(public)


def test_halves_of_different_pairs_are_refused(tmp_path: Path) -> None:
    _, one = generate_keys(tmp_path, "one")
    public, _ = generate_keys(tmp_path, "two")
    one.write_text(one.read_text().replace(load_keys(one).public.decode(), load_public_key(str(public)).decode()))
    with pytest.raises(EndpointError, match="belong together"):
        load_keys(one)


def test_allowed_clients_may_be_keys_files_and_folders(tmp_path: Path) -> None:
    folder = tmp_path / "clients"
    folder.mkdir()
    files = [generate_keys(folder, name)[0] for name in ("a", "b")]
    single, _ = generate_keys(tmp_path, "c")
    key = load_keys(generate_keys(tmp_path, "d")[1]).public.decode()
    allowed = load_allowed_keys([str(folder), str(single), key])
    assert allowed == {*map(load_public_key, map(str, files)), load_public_key(str(single)), key.encode()}


def test_encryption_without_any_client_is_refused(tmp_path: Path) -> None:
    for entries in ([], [str(tmp_path)]):
        with pytest.raises(EndpointError, match="no client is allowed"):
            load_allowed_keys(entries)
