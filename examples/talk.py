"""An assistant that runs offline: microphone → rtemo → rules, or a language model of your own → a spoken answer.

    python examples/talk.py [--words] [--llm http://127.0.0.1:11434/v1/chat/completions --model NAME] [--once]
The tone of the answer follows the mood: anger is met with calm. It falls silent when you speak. Wear headphones.
"""

import argparse
import asyncio
import json
import threading
import urllib.request

import sounddevice

import rtemo
from rtemo.answering.options import ANSWERS
from rtemo.answering.rule import manner_for
from rtemo.integrations.annotation import annotate
from rtemo.io.sources.microphone import MicrophoneSource
from rtemo.io.sources.options import MicrophoneOptions
from rtemo.runtime import ModelStore
from rtemo.voice.service import VoiceService
from rtemo.voice.style import read_style

parser = argparse.ArgumentParser()
parser.add_argument("--words", action="store_true", help="write down what is said (rtemo[words])")
parser.add_argument("--llm", help="where a model of yours answers, as OpenAI's chat completions do")
parser.add_argument("--model", default="")
parser.add_argument("--once", action="store_true", help="stop after one answer")
options = parser.parse_args()

voice = ModelStore().voice("kokoro")
service, style = VoiceService(voice), read_style(next(iter(voice.voices)), voice.voices, "kokoro")
hush = threading.Event()


def think(turn: rtemo.Turn) -> str:
    """Answer a turn: by the model that was named, or by a rule for each mood."""
    if not options.llm or not turn.text:
        return ANSWERS.get(turn.emotion.label if turn.emotion else "", ANSWERS["*"])
    system = "You are a voice assistant. Answer in one short sentence. Brackets say how the user sounds."
    said = [{"role": "system", "content": system}, {"role": "user", "content": f"{turn.text} {annotate(turn)}"}]
    body = json.dumps({"model": options.model, "messages": said}).encode()
    request = urllib.request.Request(options.llm, body, {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=30))["choices"][0]["message"]["content"]


def answer(turn: rtemo.Turn) -> None:
    """Say the answer, until the user speaks."""
    hush.clear()  # it is set while the user speaks
    text = think(turn)
    print(f"{annotate(turn) or '[heard]'} {turn.text}\n> {text}", flush=True)
    with sounddevice.OutputStream(16_000, channels=1, dtype="float32") as speaker:
        for part in service.stream(text, style, manner=manner_for(turn.emotion.label if turn.emotion else "")):
            for begin in range(0, len(part.samples), 800):
                if hush.is_set():
                    return
                speaker.write(part.samples[begin : begin + 800, None])


async def hush_when_spoken_to(session: rtemo.AsyncSession) -> None:
    async for event in session:
        if event.kind == "speech_start":
            hush.set()


async def main() -> None:
    chain = ("level", "vad", "prosody", "merit", *(("transcript",) if options.words else ()))
    microphone = MicrophoneSource(MicrophoneOptions(role="user"))
    async with rtemo.AsyncSession(rtemo.Config(chain=chain), sources=[microphone]) as session:
        print("speak", flush=True)
        hushing = asyncio.create_task(hush_when_spoken_to(session))
        async for turn in session.turns(call="mic"):
            await asyncio.to_thread(answer, turn)
            if options.once:
                break
        hushing.cancel()


asyncio.run(main())
