"""`rtemo say`: text to speech that is marked as made, and the detector of that mark."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtemo.cli.lazy_tools import LazyTools
from rtemo.cli.options import NamedPath, Number

if TYPE_CHECKING:
    from rtemo.api import Consent, VoiceHandle
    from rtemo.voice.manner import Manner
    from rtemo.voice.service import VoiceService
    from rtemo.voice.style import Style

_MOST_TEXT_CHARS = 20_000


@click.command("say")
@click.argument("text", required=False)
@click.option(
    "--voice", "voice_name", default="", metavar="V", help="A voice, a mixture (A*0.7+B*0.3), or a style file."
)
@click.option("--bundle", default="kokoro", show_default=True, help="The model that speaks.")
@click.option("--language", default="en-us", show_default=True, help="What the text is written in (see espeak-ng).")
@click.option("--manner", default="", metavar="EMOTION", help="How it is said: calm, happy, sad, angry, …")
@click.option("--speed", type=Number(0.4, 2.5), default=1.0, show_default=True, help="2 is twice as fast.")
@click.option("--pitch", type=Number(-12, 12), default=0.0, show_default=True, help="Semitones up or down.")
@click.option("--out", type=NamedPath(), metavar="FILE", help="Write a WAV file instead of playing it.")
@click.option("--device", default="", help="Loudspeaker, by number or part of its name.")
@click.option("--like", type=NamedPath(), metavar="FILE", help="Fit a style to this recording of one speaker.")
@click.option(
    "--consent", metavar='"WHO, YYYY-MM-DD"', help="Who consented to have the voice of --like imitated, and when."
)
@click.option("--save-style", type=NamedPath(), metavar="FILE", help="Keep what was fitted, for --voice (.json).")
@click.option("--tries", type=click.IntRange(10, 2000), default=80, show_default=True, help="Phrases said for --like.")
@click.option("--phonemes", is_flag=True, help="Print the phonemes and say nothing.")
@click.option("--words", is_flag=True, help="Print when each word is said.")
@click.option("--check", type=NamedPath(), metavar="FILE", help="Tell whether a recording was made by rtemo.")
@click.pass_obj
def command(
    tools: LazyTools,
    text: str | None,
    voice_name: str,
    bundle: str,
    language: str,
    manner: str,
    speed: float,
    pitch: float,
    out: Path | None,
    device: str,
    like: Path | None,
    consent: str | None,
    save_style: Path | None,
    tries: int,
    phonemes: bool,
    words: bool,
    check: Path | None,
) -> int:
    """Say TEXT (- reads it from standard input) on the loudspeaker, or into a file with --out.

    Every sample carries a watermark, and every file a tag, by which `--check` tells that it is synthetic. A voice is
    imitated (--like) only with --consent, which goes into the file.
    """
    if check is not None:
        return _check(tools, check)
    given = _text(text)
    asked = _consent(like, consent)
    _check_outputs([] if like is None else [like], {"--out": out, "--save-style": save_style})
    service, voice = _service(tools, bundle)
    if phonemes:
        click.echo(" ".join(form.signs + form.mark for form in service.forms(given, language)))
        return 0
    if like is not None and asked is not None:
        style = _fitted(tools, voice, like, asked, save_style, tries)
    else:
        style = _style(voice, voice_name)
    facts = {"voice": f"{voice.card.name} {style.name}", "consent": str(style.fitted.consent) if style.fitted else ""}
    said = _manner(manner, speed, pitch)
    _speak(tools, service, given, style, language, said, out, device, facts, words)
    return 0


def _text(text: str | None) -> str:
    from rtemo.voice.errors import VoiceError

    if text is None:
        raise click.UsageError("there is no TEXT to say")
    try:
        given = sys.stdin.read(_MOST_TEXT_CHARS + 1) if text == "-" else text
        given.encode()
    except UnicodeError:
        raise VoiceError("the text is no UTF-8", "convert it first, as with iconv") from None
    if not given.strip():
        raise VoiceError("there is no text", "give a sentence")
    if len(given) > _MOST_TEXT_CHARS:
        raise VoiceError(f"the text has more than {_MOST_TEXT_CHARS} characters", "say it in parts")
    return given


def _check_outputs(inputs: list[Path], outputs: dict[str, Path | None]) -> None:
    """Make the folders of what will be written, and refuse what cannot be, before the seconds of speaking."""
    from rtemo.cli.outputs import check_outputs

    for path in outputs.values():
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
    check_outputs(inputs, outputs)


def _consent(like: Path | None, consent: str | None) -> "Consent | None":
    """Read the consent before anything is loaded; None where nobody is imitated."""
    if like is not None:
        from rtemo.api import read_consent

        return read_consent(consent)
    if consent is not None:
        raise click.UsageError("--consent belongs to --like, which was not given")
    return None


def _service(tools: LazyTools, bundle: str) -> "tuple[VoiceService, VoiceHandle]":
    from rtemo.voice.espeak import find_espeak
    from rtemo.voice.service import VoiceService

    espeak = find_espeak()
    voice = tools.voice(bundle)
    return VoiceService(voice, espeak), voice


def _style(voice: "VoiceHandle", name: str) -> "Style":
    from rtemo.voice.style import read_style

    return read_style(name or next(iter(voice.voices)), voice.voices, voice.card.name)


def _fitted(
    tools: LazyTools, voice: "VoiceHandle", like: Path, consent: "Consent", save: Path | None, tries: int
) -> "Style":
    import numpy as np

    from rtemo.voice.fit import fit_style
    from rtemo.voice.speaker import SpeakerEmbedder
    from rtemo.voice.style import Style, write_style

    samples = tools.read_audio(like)
    fitted = fit_style(voice, samples, SpeakerEmbedder(tools.model("speaker")), consent, tries=tries)
    reached = fitted.similarity
    tools.say(f"speaker cosine {reached['fitted']:.2f} (nearest voice of the model {reached['nearest_voice']:.2f})")
    if save is not None:
        write_style(save, fitted)
    return Style(np.asarray(fitted.style, np.float32), f"like {like.name}", fitted)


def _manner(name: str, speed: float, pitch: float) -> "Manner":
    from rtemo.voice.manner import Manner, manner_of

    asked = Manner(speed=speed, pitch_semitones=pitch)
    return manner_of(name).then(asked) if name else asked


def _speak(
    tools: LazyTools,
    service: "VoiceService",
    text: str,
    style: "Style",
    language: str,
    manner: "Manner",
    out: Path | None,
    device: str,
    facts: dict[str, str],
    words: bool,
) -> None:
    import numpy as np

    from rtemo.dsp.watermark import RATE_HZ

    begun_s = time.perf_counter()
    first_s = 0.0
    parts = []
    player = None
    if out is None:
        from rtemo.cli.playing import Player

        player = Player(device)
        player.__enter__()
    try:
        for part in service.stream(text, style, language=language, manner=manner):
            if not first_s and part.samples.size:
                first_s = time.perf_counter() - begun_s
            if words:
                for word in part.words:
                    click.echo(f"{word.start_sample / RATE_HZ:8.3f} {word.end_sample / RATE_HZ:8.3f}  {word.text}")
            if player is None:
                parts.append(part.samples)
            else:
                player.put(part.samples)
        if player is not None:
            player.drain()
    finally:
        if player is not None:
            player.__exit__(None, None, None)
    if out is not None:
        samples = np.concatenate(parts)
        tools.write_speech(out, samples, facts)
        took_s, long_s = time.perf_counter() - begun_s, len(samples) / RATE_HZ
        tools.say(
            f"{long_s:.2f} s of speech in {took_s:.2f} s (RTF {took_s / long_s:.2f}), "
            f"the first after {1e3 * first_s:.0f} ms"
        )


def _check(tools: LazyTools, path: Path) -> int:
    from rtemo.cli.main import EXIT_FAILED
    from rtemo.cli.speech_tag import read_tag
    from rtemo.dsp.watermark import THRESHOLD, find_watermark

    samples = tools.read_audio(path, longest_s=3600.0)
    found = find_watermark(samples)
    tag = read_tag(path)
    if found.is_found:
        where = f"from {found.start_s:.1f} to {found.end_s:.1f} s"
        click.echo(f"watermark  found, score {found.score:.1f} ({THRESHOLD:.0f} and more), strongest {where}")
    else:
        click.echo(f"watermark  not found, score {found.score:.1f} (below {THRESHOLD:.0f})")
    click.echo(f"tag        {tag or 'none'}")
    return 0 if found.is_found or tag else EXIT_FAILED
