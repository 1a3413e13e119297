"""Send a sound file as Twilio would a call. Run: python examples/twilio_call.py [FILE] [URL] [SECONDS]."""

import base64
import json
import sys
import time
import uuid
from pathlib import Path

import soundfile
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from rtemo.api import RtemoError
from rtemo.dsp.resample import resample
from rtemo.io.pcm import encode_pcm

path = sys.argv[1] if len(sys.argv) > 1 else str(Path(__file__).with_name("call.flac"))
url = sys.argv[2] if len(sys.argv) > 2 else "ws://127.0.0.1:5580/"
most_s = float(sys.argv[3]) if len(sys.argv) > 3 else 3600.0
CHUNK = 160  # 20 ms, as Twilio sends them
if not Path(path).is_file():
    sys.exit(f"{path} does not exist; check the path")
try:
    audio, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    # The first channel is whom Twilio was called by, the second whom it has called.
    tracks = dict(zip(("inbound", "outbound"), audio.T, strict=False))
    coded = {name: encode_pcm(resample(voice, rate_hz, 8_000), "mulaw") for name, voice in tracks.items()}
    call, stream = f"CA{uuid.uuid4().hex}", f"MZ{uuid.uuid4().hex}"
    with connect(url, compression=None) as socket:
        sent = 0

        def say(event: str, **body: object) -> None:
            global sent
            sent += 1
            socket.send(json.dumps({"event": event, "sequenceNumber": str(sent), "streamSid": stream, **body}))

        say("connected", protocol="Call", version="1.0.0")
        layout = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
        say("start", start={"streamSid": stream, "callSid": call, "tracks": list(coded), "mediaFormat": layout})
        print(f"{path}: {min(len(audio) / rate_hz, most_s):.0f} s of audio go to {url}, in real time", file=sys.stderr)
        start_s = time.monotonic()
        for begin in range(0, min(len(audio) * 8_000 // rate_hz, round(most_s * 8_000)), CHUNK):
            # Audio exists only after it was spoken: a chunk is due when its last sample would have been.
            time.sleep(max(0.0, start_s + (begin + CHUNK) / 8_000 - time.monotonic()))
            for name, voice in coded.items():
                payload = base64.b64encode(voice[begin : begin + CHUNK]).decode()
                place = {"track": name, "chunk": str(begin // CHUNK + 1), "timestamp": str(begin // 8)}
                say("media", media={**place, "payload": payload})
        say("stop", stop={"callSid": call})
    print(f"{call}: {', '.join(coded)} sent in {sent} messages")
except ConnectionRefusedError:
    sys.exit(f"nothing listens at {url}; wait until rtemo serve --source twilio says that it is ready")
except (RtemoError, soundfile.SoundFileError, OSError, WebSocketException) as error:
    sys.exit(f"{error}")
