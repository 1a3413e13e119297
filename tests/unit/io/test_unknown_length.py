"""Sound files whose header does not tell their length, as those of streaming writers."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtemo.api import AudioInputError
from rtemo.io.sources.audio_file import AudioFile
from rtemo.io.sources.unknown_length import PatchedFile, length_patches
from tests.fakes.sounds import tone

pytestmark = pytest.mark.unit

RATE_HZ = 8_000
SOUND = tone(1.0, RATE_HZ).astype(np.float32)
INFO = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"Lavf58.29.100\0"


def written(format: str, subtype: str = "PCM_16") -> bytearray:
    file = io.BytesIO()
    soundfile.write(file, SOUND, RATE_HZ, format=format, subtype=subtype)
    return bytearray(file.getvalue())


def wave(riff_bytes: int, data_bytes: int, subtype: str = "PCM_16", before: bytes = b"", after: bytes = b"") -> bytes:
    """A WAV file whose two size fields hold what is given, with chunks around its data."""
    whole = written("WAV", subtype)
    at = whole.find(b"data")
    whole[4:8] = struct.pack("<I", riff_bytes)
    whole[at + 4 : at + 8] = struct.pack("<I", data_bytes)
    return bytes(whole[:at] + before + whole[at:] + after)


def au(data_bytes: int) -> bytes:
    whole = written("AU")
    whole[8:12] = struct.pack(">I", data_bytes)
    return bytes(whole)


def rf64(data_bytes: int) -> bytes:
    whole = written("RF64")
    at = whole.find(b"ds64") + 8
    whole[at : at + 16] = struct.pack("<qq", data_bytes, data_bytes)
    return bytes(whole)


def flac() -> bytes:
    whole = written("FLAC")
    whole[21] &= 0xF0  # STREAMINFO begins at 8; its total of samples takes 36 bits from the middle of byte 13 on
    whole[22:26] = bytes(4)
    return bytes(whole)


def heard(audio: AudioFile) -> np.ndarray:
    blocks = []
    while (block := audio.read(999)).shape[1]:
        blocks.append(block[0])
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


@pytest.mark.parametrize("is_piped", [False, True])
@pytest.mark.parametrize(
    "content",
    [
        wave(0xFFFF_FFFF, 0xFFFF_FFFF),
        wave(0xFFFF_FFFF, 0xFFFF_FFFF, before=INFO),
        wave(0x7FFF_F024, 0x7FFF_F000),
        wave(0, 0),
        wave(0, 0, before=INFO),
        wave(16_036, 0),
        wave(0, 0, "FLOAT"),
        au(0),
        rf64(0),
        rf64(-1),
        flac(),
    ],
    ids=[
        "ffmpeg",
        "ffmpeg-info",
        "sox",
        "zero",
        "zero-info",
        "zero-data",
        "zero-float",
        "au",
        "rf64",
        "rf64-1",
        "flac",
    ],
)
def test_a_file_that_does_not_tell_its_length_is_read_to_its_end_and_says_so(
    tmp_path: Path, content: bytes, is_piped: bool
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    audio = AudioFile(path, content) if is_piped else AudioFile(path)
    assert "does not tell its length" in audio.remark
    np.testing.assert_allclose(heard(audio), SOUND, atol=1e-4)
    assert audio.truncation == ""
    audio.close()


def test_a_header_that_tells_the_length_is_left_alone(tmp_path: Path) -> None:
    for format in ("WAV", "AU", "RF64", "AIFF", "FLAC", "W64"):
        path = tmp_path / "a"
        path.write_bytes(bytes(written(format)))
        audio = AudioFile(path)
        assert (audio.remark, audio.duration_s, heard(audio).shape) == ("", 1.0, SOUND.shape)
    path.write_bytes(wave(0, 2 * RATE_HZ))  # only the size around everything is missing
    assert (AudioFile(path).remark, AudioFile(path).duration_s) == ("", 1.0)


def test_a_recording_that_is_truly_empty_stays_so(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    empty = wave(0, 0)[:44]
    for content in (empty, empty + INFO, empty + INFO + INFO):
        path.write_bytes(content)
        with pytest.raises(AudioInputError, match="contains no audio"):
            AudioFile(path)


def test_a_stream_without_length_that_breaks_off_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    path.write_bytes(flac()[:-100])
    audio = AudioFile(path)
    assert 0 < heard(audio).shape[0] < SOUND.shape[0]
    assert "cannot be decoded beyond 0." in audio.truncation


def test_a_patched_file_reads_as_if_it_held_the_bytes_whatever_is_read() -> None:
    file = PatchedFile(io.BytesIO(bytes(range(20))), {4: b"abcd", 18: b"xyz"})
    wanted = bytes(range(4)) + b"abcd" + bytes(range(8, 18)) + b"xy"
    assert file.read() == wanted
    for start in range(20):
        for count in range(1, 21 - start):
            file.seek(start)
            assert file.read(count) == wanted[start : start + count]


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVEdata", b".snd\0\0\0", bytes(99)]
)
def test_rubbish_has_nothing_to_mend(content: bytes) -> None:
    assert length_patches(io.BytesIO(content)) == {}


def test_float_files_of_integers_are_refused_and_overshoots_are_not(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, SOUND * 20_000, RATE_HZ, subtype="FLOAT")
    audio = AudioFile(path)
    assert heard(audio).size == 0
    assert "holds float samples of up to" in audio.truncation
    soundfile.write(path, SOUND * 6, RATE_HZ, subtype="DOUBLE")
    audio = AudioFile(path)
    assert heard(audio).size == SOUND.size
    assert audio.truncation == ""
