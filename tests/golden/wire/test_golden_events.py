"""The wire format must not change by accident: consumers in other languages read these very bytes.

After an intended, additive change write the files anew: python -m tests.golden.wire.test_golden_events
"""

from pathlib import Path

import pytest

from rtemo.io.wire import Encoding, decode_event, encode
from tests.fakes.wire_samples import PAYLOADS, all_kinds, sample

pytestmark = pytest.mark.golden

FOLDER = Path(__file__).parent
SAMPLES = [sample(data) for data in PAYLOADS]


def lines(encoding: Encoding) -> list[bytes]:
    messages = [encode(wire, encoding) for wire in SAMPLES]
    return messages if encoding == "json" else [message.hex().encode() for message in messages]


def stored(encoding: Encoding) -> list[bytes]:
    return (FOLDER / FILES[encoding]).read_bytes().splitlines()


FILES: dict[Encoding, str] = {"json": "events.jsonl", "msgpack": "events.msgpack.hex"}


def test_golden_files_hold_every_kind() -> None:
    assert {wire.kind for wire in SAMPLES} == all_kinds()


@pytest.mark.parametrize("encoding", FILES)
def test_events_are_written_as_they_always_were(encoding: Encoding) -> None:
    assert lines(encoding) == stored(encoding)


@pytest.mark.parametrize("encoding", FILES)
def test_events_of_old_are_still_read(encoding: Encoding) -> None:
    messages = stored(encoding) if encoding == "json" else [bytes.fromhex(line.decode()) for line in stored(encoding)]
    assert [decode_event(message) for message in messages] == SAMPLES


if __name__ == "__main__":
    for encoding, name in FILES.items():
        (FOLDER / name).write_bytes(b"\n".join(lines(encoding)) + b"\n")
