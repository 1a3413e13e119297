"""`rtemo listen`: one source, shown while it plays."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from rtemo.cli.chatter import without_chatter
from rtemo.cli.options import (
    configured,
    enhancing,
    names,
    note_misspelt_roles,
    own_process,
    querying,
    roles_for,
    writing,
)
from rtemo.cli.stopping import shielded, stop_if_told, term_as_interrupt

if TYPE_CHECKING:
    from rich.console import Console

    from rtemo.api import AudioSink, Publisher, Source
    from rtemo.cli.view.live import Show
    from rtemo.cli.view.state import ViewState
    from rtemo.config import Config
    from rtemo.io.sources.options import MicrophoneOptions

_PATIENCE_S = 0.05


@click.command("listen")
@click.argument("source", metavar="FILE|-", required=False)
@click.option("--mic", is_flag=True, help="Listen to a microphone.")
@click.option("--device", help="Microphone by index or part of its name (see rtemo devices); implies --mic.")
@click.option("--rate", type=click.IntRange(1_000, 768_000), help="Sample rate of standard input in Hz.  [16000]")
@click.option("--channels", type=click.IntRange(1, 64), help="Interleaved channels of standard input.  [1]")
@click.option(
    "--format", "sample_type", type=click.Choice(["s16le", "f32le", "mulaw", "alaw"]), help="Samples of it.  [s16le]"
)
@click.option("--roles", metavar="NAMES", help="Who speaks on each channel, as customer,agent.")
@click.option("--fast", is_flag=True, help="As fast as the machine allows instead of in real time.")
@click.option("--play", "is_played", is_flag=True, help="Play the processed audio.")
@click.option("--play-device", help="Loudspeaker by index or part of its name; implies --play.")
@click.option("--audio-out", metavar="ENDPOINT", help="Publish the processed audio, as tcp://127.0.0.1:5576.")
@click.option("--publish", metavar="NAMES|ENDPOINT", help="Publish events, as zmq,NAME or tcp://127.0.0.1:5570.")
@click.option(
    "--jsonl", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path), help="Every event as JSON; - is here."
)
@click.option("--plain", is_flag=True, help="Lines of text even on a terminal.")
@click.option("--svg", type=click.Path(dir_okay=False, path_type=Path), hidden=True)
@click.option("--svg-at", type=float, metavar="SECONDS", hidden=True)
@configured
@enhancing
@querying
@writing
@without_chatter
def command(
    config: "Config",
    source: str | None,
    mic: bool,
    device: str | None,
    rate: int | None,
    channels: int | None,
    sample_type: str | None,
    roles: str | None,
    fast: bool,
    is_played: bool,
    play_device: str | None,
    audio_out: str | None,
    publish: str | None,
    jsonl: Path | None,
    plain: bool,
    svg: Path | None,
    svg_at: float | None,
) -> int:
    """Show a file, a microphone or raw PCM on standard input live.

    On a terminal it draws level, speech, emotions, their trend, latency and trouble of every stream; elsewhere
    it prints a line for everything that changes. A label with a question mark is below the confidence at which
    the model commits itself. Ctrl-C ends with a summary.

    With --play the audio is heard as the chain hands it on, all streams mixed.
    """
    from rtemo.cli.streams import need_stdout
    from rtemo.cli.view.console import plain_console
    from rtemo.cli.view.state import ViewState

    is_mic = mic or device is not None
    if is_mic == (source is not None):
        raise click.UsageError("name one source: a FILE, - for standard input, or --mic")
    if source != "-" and (rate or channels or sample_type):
        raise click.UsageError("--rate, --channels and --format describe raw audio on standard input: use them with -")
    if is_mic and fast:
        raise click.UsageError("a microphone delivers in real time: leave --fast out")
    is_played = is_played or play_device is not None
    if is_played and fast:
        raise click.UsageError("a loudspeaker plays in real time: leave --fast out")
    config = _lively(own_process(config))
    note_misspelt_roles(config, roles)
    sinks = _sinks(config, is_played, play_device, audio_out)
    if is_played and is_mic:
        _warn_of_feedback(config, device, sinks)
    if is_mic:
        origin, title = (
            _microphone(config, device, roles),
            f"microphone {device or _microphone_options(config).device}".strip(),
        )
    elif source == "-":
        origin, title = _standard_input(config, rate, channels, sample_type, roles), "standard input"
    else:
        origin, title = _file(config, str(source), roles, {"--jsonl": jsonl, "--svg": svg}), Path(str(source)).name
    if jsonl is not None and str(jsonl) == "-":
        need_stdout("name a file with --jsonl")
    is_piped = jsonl is not None and str(jsonl) == "-"  # standard output belongs to the JSON then
    console = plain_console(is_piped)
    state = ViewState(title)
    show = _show(state, console, config, plain, is_piped)
    if svg is not None:
        from rtemo.cli.view.live import PictureShow

        show = PictureShow(show, state, svg, svg_at, f"rtemo listen {title}")
    return _run(config, origin, _publishers(config, publish, jsonl), sinks, show, state, console, fast)


def _lively(config: "Config") -> "Config":
    """Let the meter move: once a second is enough for a log, not for an eye."""
    import msgspec

    from rtemo.api import Level
    from rtemo.cli.options import specs_of
    from rtemo.engine import registry

    meters = {
        spec.name: {"interval_s": config.listen.meter_s, **config.plugin_options(spec.name)}
        for spec in specs_of(config, config.chain)
        if Level in spec.emits and "interval_s" in registry.load(spec.name).options_type.__struct_fields__
    }
    return msgspec.structs.replace(config, plugins={**config.plugins, **meters})


def _run(
    config: "Config",
    origin: "Source",
    publishers: "list[Publisher]",
    sinks: "list[AudioSink]",
    show: "Show",
    state: "ViewState",
    console: "Console",
    fast: bool,
) -> int:
    from rtemo.cli.main import EXIT_FAILED
    from rtemo.cli.starting import StartLine
    from rtemo.cli.view.live import ViewLostError, play
    from rtemo.cli.view.summary import print_summary
    from rtemo.session import Session

    mode: Literal["live", "freewheel"] = "freewheel" if fast else "live"
    session = Session(config, sources=[origin], publishers=publishers, sinks=sinks, mode=mode, on_progress=StartLine())
    start_s = time.monotonic()
    lost: ViewLostError | None = None
    with term_as_interrupt(), ExitStack() as shown:
        reason, is_shown = "interrupted", False
        try:
            session.start()
            shown.enter_context(show)  # not earlier: the progress of a first start needs the terminal
            is_shown = True
            state.duration_s = float(getattr(origin, "duration_s", 0.0))  # files know it, live sources do not
            start_s = time.monotonic()
            while not session.is_finished and not (console.stderr and session.publisher_faults):
                stop_if_told()
                play(show, session.events(_PATIENCE_S))
            reason = "end"
        except KeyboardInterrupt:
            pass
        except ViewLostError as error:
            reason, lost = "view lost", error
        finally:
            with shielded():
                health = session.stop(reason)
                if is_shown:
                    for event in session.events(0.0):
                        show.add(event)
    print_summary(console, state, health, time.monotonic() - start_s)
    if lost is not None:
        raise lost
    return EXIT_FAILED if session.publisher_faults else 0


def _show(state: "ViewState", console: "Console", config: "Config", plain: bool, is_piped: bool) -> "Show":
    from rtemo.cli.view.live import SilentShow, TextShow, can_draw

    if is_piped:
        return SilentShow(state)
    if plain or not can_draw(console):
        return TextShow(state)
    from rtemo.cli.view.elsewhere import DrawnElsewhere

    return DrawnElsewhere(state, console, config.listen)


def _file(config: "Config", path: str, roles: str | None, outputs: "dict[str, Path | None]") -> "Source":
    import msgspec

    from rtemo.api.text import shown
    from rtemo.cli.main import say
    from rtemo.cli.outputs import check_outputs
    from rtemo.io.sources.audio_file import AudioFile
    from rtemo.io.sources.file import FileSource
    from rtemo.io.sources.options import FileOptions

    check_outputs([Path(path)], outputs)
    audio = AudioFile(path)  # a wrong path is worth saying before the seconds of warming up
    audio.close()
    if audio.remark:
        say(f"{shown(path)} {audio.remark}")
    roles_of = roles_for(names(roles), audio.channels, shown(path))
    options = config.edge("sources", "file", FileOptions)
    if roles is not None:
        options = msgspec.structs.replace(options, roles=roles_of)
    return FileSource.from_options(path, options)


def _microphone_options(config: "Config") -> "MicrophoneOptions":
    from rtemo.io.sources.options import MicrophoneOptions

    return config.edge("sources", "microphone", MicrophoneOptions)


def _microphone(config: "Config", device: str | None, roles: str | None) -> "Source":
    import msgspec

    from rtemo.io.sources.microphone import MicrophoneSource

    options = _microphone_options(config)
    if device is not None:
        options = msgspec.structs.replace(options, device=_device_name(device))
    if roles is not None:
        options = msgspec.structs.replace(options, role=(*roles_for(names(roles), 1, "a microphone"), "")[0])
    return MicrophoneSource(options)


def _standard_input(
    config: "Config", rate: int | None, channels: int | None, sample_type: str | None, roles: str | None
) -> "Source":
    import msgspec

    from rtemo.io.sources.options import StdinOptions
    from rtemo.io.sources.stdin import StdinSource

    given = {
        "sample_rate_hz": rate,
        "channels": channels,
        "sample_type": sample_type,
        "roles": None if roles is None else names(roles),
    }
    changed = {name: value for name, value in given.items() if value is not None}
    options = msgspec.structs.replace(config.edge("sources", "stdin", StdinOptions), **changed)
    roles_for(names(roles), options.channels, "standard input")
    return StdinSource.from_options(options)


def _device_name(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def _sinks(config: "Config", is_played: bool, play_device: str | None, audio_endpoint: str | None) -> "list[AudioSink]":
    import msgspec

    from rtemo.cli import edges

    sinks: list[AudioSink] = []
    if is_played:
        from rtemo.io.sinks.options import PlayOptions
        from rtemo.io.sinks.speaker import SpeakerSink

        options = config.edge("sinks", "speaker", PlayOptions)
        if play_device is not None:
            options = msgspec.structs.replace(options, device=_device_name(play_device))
        sinks.append(SpeakerSink(options))
    if audio_endpoint:
        sinks += edges.sinks(edges.with_endpoint(config, "sinks", audio_endpoint), ["zmq"])
    return sinks


def _warn_of_feedback(config: "Config", device: str | None, sinks: "list[AudioSink]") -> None:
    from rtemo.cli.main import say
    from rtemo.io.sinks.speaker import SpeakerSink, feedback_risk
    from rtemo.io.sources.capture import choose_device
    from rtemo.io.sources.devices import list_devices

    options = _microphone_options(config)
    wanted = options.device if device is None else _device_name(device)
    microphone = choose_device(list(list_devices(options.backend)), wanted)
    for sink in sinks:
        if isinstance(sink, SpeakerSink):
            risk = feedback_risk(microphone, sink.device, sink.is_chosen)
            if risk:
                say(f"! {risk}")


def _publishers(config: "Config", publish: str | None, jsonl: Path | None) -> "list[Publisher]":
    from rtemo.cli import edges

    config, wanted = edges.chosen(config, "publishers", publish, ())
    if jsonl is not None:
        config = edges.with_options(config, "publishers", "jsonl", path=str(jsonl))
        wanted = [*(name for name in wanted if name != "jsonl"), "jsonl"]
    return edges.publishers(config, wanted)
