"""`rtemo reconstruct`: disordered speech and the intended text become clear speech in the same voice."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtemo.api import Consent, SpeechHandle, Tools
    from rtemo.voice.service import VoiceService
    from rtemo.voice.style import Style
    from rtemo_models.systems.chiressd.report import Phrase

_MOST_PHRASES = 200


@click.command("reconstruct", short_help="Say disordered speech again, clearly, in the same voice.")
@click.argument("recordings", nargs=-1, type=click.Path(path_type=Path))
@click.option("--text", "texts", multiple=True, help="What was meant; once for each recording.")
@click.option("--texts", "text_file", type=click.Path(path_type=Path), help="A file with one line for each recording.")
@click.option("--mic", is_flag=True, help="Record each phrase and speak it back at once; wants --voice.")
@click.option("--device", default="", help="Microphone of --mic, by number or part of its name.")
@click.option("--voice", "voice_name", default="", help="Style file of the speaker; fitted without it.")
@click.option("--tries", type=click.IntRange(10, 2000), default=60, show_default=True, help="Phrases said to fit it.")
@click.option("--save-style", type=click.Path(path_type=Path), metavar="FILE", help="Keep what was fitted (.json).")
@click.option("--alpha", type=click.FloatRange(0, 1), default=0.3, show_default=True, help="Clear share of the timbre.")
@click.option("--beta", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="Clear share of the prosody.")
@click.option("--language", default="en-us", show_default=True)
@click.option("--bundle", default="kokoro", show_default=True, help="The model that speaks.")
@click.option("--consent", metavar='"WHO, YYYY-MM-DD"', help="Who consented to have the voice imitated, and when.")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Folder for the results.")
@click.option("--report", type=click.Path(path_type=Path), metavar="FILE", help="A report of the session (Markdown).")
@click.pass_obj
def command(
    tools: "Tools",
    recordings: tuple[Path, ...],
    texts: tuple[str, ...],
    text_file: Path | None,
    mic: bool,
    device: str,
    voice_name: str,
    tries: int,
    save_style: Path | None,
    alpha: float,
    beta: float,
    language: str,
    bundle: str,
    consent: str | None,
    out: Path,
    report: Path | None,
) -> int:
    """Say each of RECORDINGS again: what was meant (--text), clearly, in the voice, pitch and manner of the recording.

    What is written carries a watermark and a tag that names the consent. One recording that cannot be used is named,
    the others go on, and the exit status is 1. The report is no diagnosis.
    """
    from rtemo.api import RtemoError, read_consent

    agreed = read_consent(consent)
    if mic == bool(recordings):
        raise click.UsageError("give either RECORDINGS or --mic")
    if mic and not voice_name:
        raise click.UsageError(
            "--mic wants the speaker's style with --voice; fit one from recordings with --save-style"
        )
    meant = _texts(recordings, texts, text_file, mic)
    if mic:
        recordings = tuple(Path(f"phrase-{number + 1:02}") for number in range(len(meant)))
        heard: list[NDArray[np.float32] | None] = [None] * len(meant)
    else:
        heard = [_read(tools, path) for path in recordings]
    good = [place for place, samples in enumerate(heard) if mic or samples is not None]
    if not good:
        return 1
    service, style = _speaker(tools, heard, voice_name, tries, agreed, save_style, bundle)
    speech = _recogniser(tools) if report is not None else None
    asked = (alpha, beta, language)
    phrases: list[Phrase] = []
    for place in good:
        path, samples, text = recordings[place], heard[place], meant[place]
        try:
            if mic:
                tools.say(f"say: {text}")
                samples = tools.record(device=device)
            phrases.append(_again(tools, path, samples, text, service, style, asked, agreed, out, speech, mic))
        except RtemoError as error:
            tools.say(f"{recordings[place].name}: {error}")
    if report is not None and phrases:
        from rtemo_models.systems.chiressd.report import report_of

        report.write_text(report_of(phrases, str(agreed)))
    return 0 if len(phrases) == len(recordings) else 1


def _texts(recordings: Sequence[Path], texts: Sequence[str], text_file: Path | None, mic: bool) -> list[str]:
    from rtemo.api import ConfigError

    given = list(texts)
    if text_file is not None:
        given += [line.strip() for line in text_file.read_text(encoding="utf-8").splitlines() if line.strip()]
    if mic and 0 < len(given) <= _MOST_PHRASES:
        return given
    if not given or len(given) != len(recordings) or len(given) > _MOST_PHRASES:
        raise ConfigError(
            f"{len(given)} texts were given for {len(recordings)} recordings",
            "give --text once for each, in their order, or --texts with one line for each",
        )
    return given


def _read(tools: "Tools", path: Path) -> "NDArray[np.float32] | None":
    from rtemo.api import AudioInputError

    try:
        return tools.read_audio(path, 60.0)
    except AudioInputError as error:
        tools.say(str(error))
        return None


def _speaker(
    tools: "Tools",
    heard: "Sequence[NDArray[np.float32] | None]",
    voice_name: str,
    tries: int,
    consent: "Consent",
    save_style: Path | None,
    bundle: str,
) -> "tuple[VoiceService, Style]":
    import numpy as np

    from rtemo.voice.fit import fit_style
    from rtemo.voice.service import VoiceService
    from rtemo.voice.speaker import SpeakerEmbedder
    from rtemo.voice.style import Style, read_style, write_style

    service = VoiceService(tools.voice(bundle))
    voice = service.voice
    if voice_name:
        return service, read_style(voice_name, voice.voices, voice.card.name)
    whole = np.concatenate([samples for samples in heard if samples is not None])
    fitted = fit_style(voice, whole, SpeakerEmbedder(tools.model("speaker")), consent, tries=tries)
    if save_style is not None:
        write_style(save_style, fitted)
    return service, Style(np.asarray(fitted.style, np.float32), "fitted to the recordings", fitted)


def _recogniser(tools: "Tools") -> "SpeechHandle | None":
    from rtemo.api import ModelError

    try:
        return tools.speech("whisper-base")
    except ModelError as error:
        tools.say(f"the report does not say what was heard: {error}")
        return None


def _again(
    tools: "Tools",
    path: Path,
    samples: "NDArray[np.float32] | None",
    text: str,
    service: "VoiceService",
    style: "Style",
    asked: tuple[float, float, str],
    consent: "Consent",
    out: Path,
    speech: "SpeechHandle | None",
    aloud: bool,
) -> "Phrase":
    from rtemo.voice.reference import check_spoken
    from rtemo.voice.speaker import SpeakerEmbedder
    from rtemo_models.systems.chiressd.consonants import consonants_heard
    from rtemo_models.systems.chiressd.reconstruct import reconstruct
    from rtemo_models.systems.chiressd.report import Phrase

    assert samples is not None
    alpha, beta, language = asked
    check_spoken(samples)
    begun_s = time.perf_counter()
    embedder = SpeakerEmbedder(tools.model("speaker"))
    done = reconstruct(samples, text, service, style, alpha=alpha, beta=beta, language=language, embedder=embedder)
    took_s = time.perf_counter() - begun_s
    if aloud:
        tools.play(done.samples)
    target = out / f"{path.stem}.wav"
    facts = {"voice": f"{service.voice.card.name} {style.name}", "consent": str(consent), "reconstructed": text}
    tools.write_speech(target, done.samples, facts)
    tools.say(
        f"{target}: speaker cosine {done.similarity:.2f}, pitch {done.semitones:+.1f} semitones, made in {took_s:.1f} s"
    )
    said, after, found = "", "", ()
    if speech is not None:
        said, after = (one.text for one in speech.transcribe([samples, done.samples], language=language.split("-")[0]))
        intended = "".join(form.signs for form in service.forms(text, language))
        signs = "".join(form.signs for form in service.forms(said, language)) if any(map(str.isalnum, said)) else ""
        found = tuple(consonants_heard(intended, signs))
    return Phrase(text, said, after, found, done.similarity, done.semitones, took_s)
