"""A process beside this one: our own Python with the same path, started afresh, which ends with its socket."""

import os
import socket
import subprocess
import sys


def start_child(module: str, *ends: socket.socket, is_mute: bool = False) -> "subprocess.Popen[bytes]":
    """Start a module, which is given the numbers of its sockets as arguments.

    Ctrl-C is for this process, which ends the other when it is done.

    Args:
        module: What runs there, as `python -m` names it.
        ends: Sockets that it takes over; the caller closes its own side of them.
        is_mute: Whether what it prints goes nowhere, where results alone stand on standard output.
    """
    numbers = [end.fileno() for end in ends]
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, numbers)],
        pass_fds=numbers,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if is_mute else None,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        start_new_session=True,
    )


def ending(code: int) -> str:
    """Say how a process ended, from its return code.

    >>> ending(-9), ending(1)
    ('signal 9', 'exit status 1')
    """
    return f"signal {-code}" if code < 0 else f"exit status {code}"


def end_child(process: "subprocess.Popen[bytes]", wait_s: float) -> str:
    """Wait for the end of a process, or bring it about; tell how it ended. Takes twice as long at most."""
    try:
        return ending(process.wait(wait_s))
    except subprocess.TimeoutExpired:
        process.kill()
    try:
        return ending(process.wait(wait_s))
    except subprocess.TimeoutExpired:
        return "it does not end although it was killed"
