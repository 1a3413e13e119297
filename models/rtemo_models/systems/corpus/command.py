"""The command `rtemo corpus`, as a process of its own: what is measured is what everybody runs."""

import subprocess
import sys

from rtemo.api.errors import RtemoError


def rtemo_corpus(*words: object) -> str:
    """Run `rtemo corpus` with these words; what it says on the way is passed on.

    Returns:
        What it printed.

    Raises:
        RtemoError: It did not come to its end.
    """
    told = [str(word) for word in words]
    done = subprocess.run(
        [sys.executable, "-m", "rtemo", "corpus", *told], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise RtemoError(f"rtemo corpus {told[0]} ended with status {done.returncode}", "the lines above say why")
    return done.stdout
