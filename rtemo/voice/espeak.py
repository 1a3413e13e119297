"""espeak-ng: text to IPA, by the library of the package espeakng-loader or by the program.

espeak-ng is under GPL-3; it is no part of rtemo, which calls it where the user has installed it.
"""

import ctypes
import functools
import shutil
import subprocess
from typing import Any, Protocol

from rtemo.voice.errors import VoiceError

TIE = "^"
"""What joins the signs of one sound, as in `t^ʃ`."""

_SYNCHRONOUS, _DONT_EXIT = 2, 0x8000
_UTF8, _IPA_TIED = 1, 0x82 | ord(TIE) << 8
_PROGRAM_S = 10.0


class Espeak(Protocol):
    """What turns text into IPA."""

    def phonemes(self, text: str, language: str) -> str:
        """Give the IPA of a stretch of text without punctuation, words with spaces between them.

        Raises:
            VoiceError: It does not know the language.
        """


class EspeakLibrary:
    """The shared library, in this process.

    Args:
        library: Path of the library.
        data: Folder with its data.
    """

    def __init__(self, library: str, data: str) -> None:
        self._library: Any = ctypes.CDLL(library)
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self._library.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int]
        if self._library.espeak_Initialize(_SYNCHRONOUS, 0, data.encode(), _DONT_EXIT) <= 0:
            raise VoiceError("the library of espeak-ng cannot find its data", "reinstall espeakng-loader")
        self._language = ""

    def phonemes(self, text: str, language: str) -> str:
        """Give IPA; see `Espeak`."""
        if language != self._language:
            if not language.isascii() or self._library.espeak_SetVoiceByName(language.encode()) != 0:
                raise _unknown(language)
            self._language = language
        rest = ctypes.c_char_p(text.encode())
        found = []
        while rest.value:
            part = self._library.espeak_TextToPhonemes(ctypes.byref(rest), _UTF8, _IPA_TIED)
            found.append((part or b"").decode("utf-8", "replace"))
        return " ".join(" ".join(found).split())


class EspeakProgram:
    """The program `espeak-ng`, one process for each stretch of text."""

    def __init__(self, path: str) -> None:
        self._path = path

    def phonemes(self, text: str, language: str) -> str:
        """Give IPA; see `Espeak`."""
        try:
            done = subprocess.run(
                [self._path, "-q", "--ipa", f"--tie={TIE}", "-v", language, "--stdin"],
                input=text.encode(),
                capture_output=True,
                timeout=_PROGRAM_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise VoiceError(f"espeak-ng did not answer within {_PROGRAM_S:g} s", "reinstall espeak-ng") from None
        if done.returncode:
            raise _unknown(language)
        return " ".join(done.stdout.decode("utf-8", "replace").split())


@functools.cache
def find_espeak() -> Espeak:
    """Find espeak-ng: the library that the extra brings, or else the program.

    Raises:
        VoiceError: Neither is installed.
    """
    try:
        import espeakng_loader
    except ImportError:
        path = shutil.which("espeak-ng")
        if path is None:
            raise VoiceError(
                "text cannot be turned into phonemes: espeak-ng is not installed",
                "install the extra, as `pip install 'rtemo[voice]'`, or the program espeak-ng",
            ) from None
        return EspeakProgram(path)
    return EspeakLibrary(espeakng_loader.get_library_path(), espeakng_loader.get_data_path())


def _unknown(language: str) -> VoiceError:
    return VoiceError(f"espeak-ng knows no language {language!r}", "name one of `espeak-ng --voices`, as en-us")
