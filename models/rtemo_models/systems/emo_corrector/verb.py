"""`rtemo correct`: words of a recording replaced in the speaker's voice, or the same words in another manner."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rtemo.api import Consent, SpeechHandle, Tools
    from rtemo_models.systems.emo_corrector.correct import Correction
    from rtemo_models.systems.emo_corrector.store import ClipStore
    from rtemo_models.systems.emo_corrector.takes import TakeJudge


@click.command("correct", short_help="Replace words of a recording in the speaker's voice and a fitting mood.")
@click.argument("recording", type=click.Path(path_type=Path))
@click.option("--to", "new_text", default="", help="The sentence as it is to be said.")
@click.option(
    "--text", "old_text", default="", help="What the recording says; written down by whisper-base without it."
)
@click.option("--span", metavar="START:END", help="Replace these seconds by --to, whatever is said in them.")
@click.option("--manner", default="", metavar="EMOTION", help="Without --to: say the same words so, as calm.")
@click.option("--emotion", default="", help="Mood of the new words; found from them without it.")
@click.option("--clips", type=click.Path(path_type=Path), metavar="DIR", help="Clips to take the delivery from.")
@click.option("--k", type=click.IntRange(1, 50), default=3, show_default=True, help="How many of them.")
@click.option(
    "--takes",
    type=click.IntRange(1, 6),
    default=4,
    show_default=True,
    help="Ways in which it is said, of which the one that is heard best is kept.",
)
@click.option("--voice", "voice_name", default="", help="Style file of the speaker, or a voice; fitted without it.")
@click.option("--tries", type=click.IntRange(10, 2000), default=40, show_default=True, help="Phrases said to fit it.")
@click.option("--language", default="en-us", show_default=True)
@click.option("--bundle", default="kokoro", show_default=True, help="The model that speaks.")
@click.option("--consent", metavar='"WHO, YYYY-MM-DD"', help="Who consented to have the voice imitated, and when.")
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FILE", help="The new recording (WAV).")
@click.option("--report", type=click.Path(path_type=Path), metavar="FILE", help="What was done, as JSON.")
@click.pass_obj
def command(
    tools: "Tools",
    recording: Path,
    new_text: str,
    old_text: str,
    span: str | None,
    manner: str,
    emotion: str,
    clips: Path | None,
    k: int,
    takes: int,
    voice_name: str,
    tries: int,
    language: str,
    bundle: str,
    consent: str | None,
    out: Path,
    report: Path | None,
) -> int:
    """Replace the words of RECORDING that --to changes, and nothing else.

    The new words are said in the voice of the recording, in the mood that the new sentence asks for, as clips of that
    mood in --clips are said. They carry a watermark, and the file a tag; see `rtemo say --check`.
    """
    from rtemo.api import ConfigError, read_consent

    agreed = read_consent(consent)
    if out.exists() and recording.exists() and out.samefile(recording):
        raise ConfigError(f"--out {out} would write over the recording", "choose another file")
    if bool(new_text.strip()) == bool(manner):
        raise click.UsageError("give either --to SENTENCE or --manner EMOTION")
    samples = tools.read_audio(recording, 60.0)
    if manner:
        _say_so(tools, samples, manner, agreed, out)
        return 0
    _replace(
        tools,
        samples,
        (old_text, new_text, span, emotion, language),
        _Means(clips, k, takes, voice_name, tries, bundle),
        agreed,
        out,
        report,
    )
    return 0


class _Means:
    """What the words are made with."""

    def __init__(self, clips: Path | None, k: int, takes: int, voice: str, tries: int, bundle: str) -> None:
        self.clips, self.k, self.takes, self.voice, self.tries, self.bundle = clips, k, takes, voice, tries, bundle


def _say_so(tools: "Tools", samples: "NDArray[np.float32]", manner: str, consent: "Consent", out: Path) -> None:
    from rtemo.dsp.watermark import add_watermark
    from rtemo.voice.manner import manner_of
    from rtemo.voice.psola import said_in

    made = add_watermark(said_in(samples, manner_of(manner)))
    tools.write_speech(out, made, {"changed": f"said {manner}", "consent": str(consent)})
    tools.say(f"{out}: the same words, {manner}; {len(made) / 16_000:.2f} s")


def _replace(
    tools: "Tools",
    samples: "NDArray[np.float32]",
    asked: tuple[str, str, str | None, str, str],
    means: _Means,
    consent: "Consent",
    out: Path,
    report: Path | None,
) -> None:
    import numpy as np

    from rtemo.api import EMOTIONS, ModelError
    from rtemo.voice.errors import VoiceError
    from rtemo.voice.imitation import Imitator
    from rtemo.voice.reference import check_spoken
    from rtemo.voice.service import VoiceService
    from rtemo_models.systems.emo_corrector.correct import correct, transcribed

    old_text, new_text, span, emotion, language = asked
    if emotion and emotion not in EMOTIONS:
        raise VoiceError(f"there is no emotion {emotion!r}", f"name one of {', '.join(EMOTIONS)}")
    stretch = _seconds(span, len(samples)) if span else None
    check_spoken(samples)
    service = VoiceService(tools.voice(means.bundle))
    speech = heard = None
    try:
        speech = tools.speech("whisper-base")
        heard = transcribed(speech, samples, language)
    except ModelError as error:
        if not old_text:
            raise VoiceError(
                f"what the recording says is not known ({error.problem})",
                "give it with --text, or install rtemo[words]",
            ) from error
    old_text = old_text or " ".join(heard[0] if heard else ())
    if not old_text.strip():
        raise VoiceError("no word was heard in the recording", "give what it says with --text")
    if stretch is not None:
        old_text, new_text, heard = _by_time(stretch, new_text, heard)
    style = _style(tools, service, samples, consent, means)
    imitator = Imitator(service, style, samples, old_text, language, envelope_share=1.0)
    wanted = np.array([float(name == emotion) for name in EMOTIONS]) if emotion else None
    store = _store(tools, means.clips)
    done = correct(
        samples,
        old_text,
        new_text,
        imitator,
        heard=heard,
        store=store,
        emotion=wanted,
        k=means.k,
        judge=_judge(tools, speech, language, samples) if means.takes > 1 else None,
        takes=means.takes,
    )
    facts = {"voice": f"{service.voice.card.name} {style.name}", "consent": str(consent)}
    tools.write_speech(out, done.samples, facts | {"changed": _told(done)})
    tools.say(f"{out}: {_told(done)}; {done.emotion}" + "".join(f"; as {one.clip.path.name}" for one in done.found))
    if report is not None:
        report.write_text(json.dumps(_facts(done, old_text, new_text), indent=1, ensure_ascii=False) + "\n")


def _seconds(text: str, count_samples: int) -> tuple[int, int]:
    from rtemo.voice.errors import VoiceError

    try:
        start_s, end_s = (float(part) for part in text.split(":"))
    except ValueError:
        raise click.UsageError(f"--span got {text!r}, expected START:END in seconds, as 0.5:1.2") from None
    if not 0.0 <= start_s < end_s <= count_samples / 16_000:
        raise VoiceError(
            f"the span {start_s:g} to {end_s:g} s lies outside of the recording of {count_samples / 16_000:.2f} s",
            "give --span START:END within it",
        )
    return round(start_s * 16_000), round(end_s * 16_000)


def _by_time(
    stretch: tuple[int, int], new_words: str, heard: "tuple[list[str], NDArray[np.int64]] | None"
) -> "tuple[str, str, tuple[list[str], NDArray[np.int64]]]":
    """Make a text and its edit of a stretch: words whose middle lies in it are replaced."""
    import numpy as np

    from rtemo.voice.errors import VoiceError

    if heard is None or not heard[0]:
        raise VoiceError("which words the span holds is not known", "install rtemo[words], or give --text")
    words, times = heard
    middles = times.mean(axis=1)
    inside = [place for place, middle in enumerate(middles) if stretch[0] <= middle <= stretch[1]]
    if not inside:
        raise VoiceError("no word was heard in the span", "give another --span")
    kept = times.copy()
    kept[inside[0], 0], kept[inside[-1], 1] = stretch
    edited = [*words[: inside[0]], new_words, *words[inside[-1] + 1 :]]
    return " ".join(words), " ".join(edited), (words, np.asarray(kept))


def _style(
    tools: "Tools", service: "object", samples: "NDArray[np.float32]", consent: "Consent", means: _Means
) -> "object":
    import numpy as np

    from rtemo.voice.fit import fit_style
    from rtemo.voice.speaker import SpeakerEmbedder
    from rtemo.voice.style import Style, read_style

    voice = service.voice
    if means.voice:
        return read_style(means.voice, voice.voices, voice.card.name)
    fitted = fit_style(voice, samples, SpeakerEmbedder(tools.model("speaker")), consent, tries=means.tries)
    return Style(np.asarray(fitted.style, np.float32), "fitted to the recording", fitted)


def _judge(tools: "Tools", speech: "SpeechHandle | None", language: str, samples: "NDArray[np.float32]") -> "TakeJudge":
    from rtemo.voice.speaker import SpeakerEmbedder, without_silence
    from rtemo_models.systems.emo_corrector.mood import MoodEmbedder
    from rtemo_models.systems.emo_corrector.takes import TakeJudge

    voices = SpeakerEmbedder(tools.model("speaker"))
    speaker = voices.embed_stretches([without_silence(samples)])[0]
    return TakeJudge(speech, language.split("-")[0], voices, speaker, MoodEmbedder(tools.model("merit-large")))


def _store(tools: "Tools", clips: Path | None) -> "ClipStore | None":
    if clips is None:
        return None
    from rtemo_models.systems.emo_corrector.mood import MoodEmbedder
    from rtemo_models.systems.emo_corrector.store import open_store

    embedder = MoodEmbedder(tools.model("merit-large"))
    return open_store(clips, lambda path: tools.read_audio(path, 30.0), embedder.hear, tools.say)


def _told(done: "Correction") -> str:
    return ", ".join(f"{span.old or 'nothing'!r} became {span.new or 'nothing'!r}" for span in done.spans)


def _facts(done: "Correction", old_text: str, new_text: str) -> dict[str, object]:
    manner = done.delivery.manner
    return {
        "old": old_text,
        "new": new_text,
        "emotion": done.emotion,
        "spans": [span._asdict() for span in done.spans],
        "clips": [{"path": str(one.clip.path), "likeness": round(one.likeness, 4)} for one in done.found],
        "manner": {name: round(getattr(manner, name), 3) for name in manner.__struct_fields__},
        "takes": done.takes,
        "heard": None
        if done.verdict is None
        else {name: _rounded(value) for name, value in done.verdict._asdict().items()},
    }


def _rounded(value: float) -> float | None:
    return None if value != value else round(value, 3)  # NaN: too short to tell
