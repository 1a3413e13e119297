"""Save the processed audio of all calls, a file each, until Ctrl-C.

Run: python examples/receive_audio.py [ENDPOINT [FOLDER]].
"""

import os
import sys
from pathlib import Path
from urllib.parse import quote

import soundfile

from rtemo import AudioReceiver
from rtemo.api import RtemoError

endpoint = sys.argv[1] if len(sys.argv) > 1 else "tcp://127.0.0.1:5576"
folder = Path(sys.argv[2] if len(sys.argv) > 2 else ".")
os.umask(0o077)  # a voice is its owner's alone
folder.mkdir(parents=True, exist_ok=True)
files: dict[tuple[str, str], soundfile.SoundFile] = {}

try:
    with AudioReceiver(endpoint) as receiver:
        for audio in receiver:
            key = audio.call, audio.channel
            if key not in files:
                # Names come from outside: quoted, none of them leads out of the folder.
                name = quote(f"{audio.call}.{audio.channel}.wav", safe=" ")
                files[key] = soundfile.SoundFile(folder / name, "w", audio.sample_rate_hz, 1)
            files[key].write([0.0] * audio.lost_samples)  # what was lost is silence, so that positions hold
            files[key].write(audio.samples)
            if audio.is_last:
                files.pop(key).close()
                print(f"{audio.call}/{audio.channel}  {audio.start_sample / audio.sample_rate_hz:.2f} s", flush=True)
except KeyboardInterrupt:
    pass
except RtemoError as error:  # nobody sends audio there, say
    sys.exit(str(error))
finally:
    for file in files.values():  # calls that were still on
        file.close()
