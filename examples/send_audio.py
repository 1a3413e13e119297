"""Send a file as a live call to `rtemo serve`. Run: python examples/send_audio.py [FILE] [ENDPOINT] [ROLES]."""

import sys
import time
from pathlib import Path

import soundfile

from rtemo import AudioSender
from rtemo.api import RtemoError

path = sys.argv[1] if len(sys.argv) > 1 else str(Path(__file__).with_name("call.flac"))
endpoint = sys.argv[2] if len(sys.argv) > 2 else "tcp://127.0.0.1:5575"
# Who speaks on each channel. Roles that the server's [policy] lists are analysed; of others it tells when they speak.
roles = (sys.argv[3] if len(sys.argv) > 3 else "caller,user,speaker").split(",")
if not Path(path).is_file():
    sys.exit(f"{path} does not exist; check the path")
try:
    audio, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    packet_samples = rate_hz // 50
    with AudioSender(endpoint) as sender:
        call = Path(path).stem
        streams = [
            sender.open(call, str(channel), sample_rate_hz=rate_hz, role=role)
            for channel, role in zip(range(audio.shape[1]), roles, strict=False)
        ]
        print(f"{path}: {len(audio) / rate_hz:.0f} s of audio go to {endpoint}, in real time", file=sys.stderr)
        start_s = time.monotonic()
        for begin in range(0, len(audio), packet_samples):
            # Audio exists only after it was captured: packet n is due when its last sample would have been.
            end = min(begin + packet_samples, len(audio))
            time.sleep(max(0.0, start_s + end / rate_hz - time.monotonic()))
            for channel, stream in enumerate(streams):
                stream.send(audio[begin:end, channel], capture_ns=time.time_ns(), wait=False)
        for stream in streams:
            account = stream.end()
            print(f"{call}/{stream.channel}: {account.received_samples} samples arrived, {account.lost_samples} lost")
except (RtemoError, soundfile.SoundFileError) as error:  # no server there, or no such file
    sys.exit(str(error))
