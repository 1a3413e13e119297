"""Ask a server for RTP ports for a call, as a script beside a PBX does, and have ffmpeg send both parties to them.

    python examples/rtp_call.py [SOUND_FILE] [--at ENDPOINT]
    python examples/rtp_call.py --siprec BODY [--role sip:1002@pbx.example=agent ...]
The latter prints the SDP that answers the INVITE of a recording session, whose body is in a file, and sends nothing.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import zmq

parser = argparse.ArgumentParser()
parser.add_argument("file", nargs="?", default=str(Path(__file__).with_name("call.flac")))
parser.add_argument("--at", default="tcp://127.0.0.1:5585", help="where the server hands out ports")
parser.add_argument("--siprec", help="file with the body of an INVITE, multipart/mixed")
parser.add_argument("--role", action="append", default=[], metavar="WHO=ROLE", help="label, address or name, and role")
options = parser.parse_args()
socket = zmq.Context().socket(zmq.REQ)
socket.linger = 0
socket.connect(options.at)


def ask(**request: Any) -> dict[str, Any]:
    """Send a request and wait for the reply."""
    socket.send_json(request)
    if not socket.poll(5_000):
        sys.exit(
            f"no answer from {options.at}; start: rtemo serve --source rtp --set sources.rtp.ports.range=20000-20199"
        )
    reply: dict[str, Any] = socket.recv_json()
    if not reply["ok"]:
        sys.exit("{problem}; {mend}".format(**reply["error"]))
    return reply


def answer(offer: str, legs: list[dict[str, Any]]) -> str:
    """Write the SDP answer: a port for each line of audio that has one, 0 for every other m= line."""
    lines = ["v=0", f"o=- 1 1 IN IP4 {legs[0]['address']}", "s=-", f"c=IN IP4 {legs[0]['address']}", "t=0 0"]
    taken = {leg["media_line"]: leg for leg in legs}
    for number, media in enumerate(line for line in offer.splitlines() if line.startswith("m=")):
        if number not in taken:
            kind, _, rest = media.split(" ", 2)
            lines.append(f"{kind} 0 {rest}")
            continue
        types = [one.split(" ") for one in taken[number]["payload_types"]]
        lines.append(f"m=audio {taken[number]['port']} RTP/AVP {' '.join(kind for kind, _ in types)}")
        lines += [f"a=rtpmap:{kind} {name}" for kind, name in types]
        lines += [f"a=label:{taken[number]['channel']}", "a=recvonly"]
    return "\r\n".join(lines)


if options.siprec:
    body = Path(options.siprec).read_text()
    reply = ask(op="ports", siprec=body, roles=dict(one.rsplit("=", 1) for one in options.role))
    print(answer(body, reply["legs"]))
    print(json.dumps({"call": reply["call"], "ticket": reply["ticket"]}), file=sys.stderr)
else:
    reply = ask(op="ports", call=f"call-{time.time():.0f}", legs=[{"role": "caller"}, {"role": "agent"}])
    print(reply["call"], *(f"{leg['role']} → {leg['address']}:{leg['port']}" for leg in reply["legs"]))
    senders = []
    for number, leg in enumerate(reply["legs"]):
        paced = (
            f"pan=mono|c0=c{number},aresample=8000,asetnsamples=n=160:p=0,arealtime"  # 20 ms at a time, as a telephone
        )
        words = ["ffmpeg", "-v", "error", "-i", options.file, "-af", paced, "-c:a", "pcm_mulaw", "-f", "rtp"]
        url = f"rtp://{leg['address']}:{leg['port']}?pkt_size=172"
        senders.append(subprocess.Popen([*words, url], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL))
    for sender in senders:
        sender.wait()
    ask(op="give_back", call=reply["call"], ticket=reply["ticket"])
