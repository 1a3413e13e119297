"""Names from outside as text that every encoding of ours can hold."""

import os


def shown(name: str | os.PathLike[str]) -> str:
    r"""Write a name, of a file or a call, as valid Unicode: bytes that are no UTF-8 become `\xNN`.

    Python keeps such bytes of a file name as lone surrogates, which no JSON and no terminal takes.

    >>> print(shown("caf\udce9.wav"), shown("café.wav"))
    caf\xe9.wav café.wav
    """
    text = os.fspath(name)
    try:
        text.encode()
    except UnicodeEncodeError:
        try:
            return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        except UnicodeEncodeError:
            return text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text
