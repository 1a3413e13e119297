"""`rtemo devices`: the microphones there are."""

from typing import TYPE_CHECKING

import click

from rtemo.cli.options import configured

if TYPE_CHECKING:
    from rtemo.config import Config


@click.command("devices")
@click.option("--backend", type=click.Choice(["sounddevice", "pyaudio"]), help="Binding of PortAudio to ask.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per device.")
@configured
def command(config: "Config", backend: str | None, as_json: bool) -> None:
    """List the microphones by index, the default one marked with a star.

    `rtemo listen --device` takes an index or a part of a name.
    """
    import msgspec

    from rtemo.io.sources.devices import list_devices
    from rtemo.io.sources.options import MicrophoneOptions

    devices = list_devices(backend or config.edge("sources", "microphone", MicrophoneOptions).backend)
    if as_json:
        for device in devices:
            click.echo(msgspec.json.encode(device))
        return
    from rich.table import Table
    from rich.text import Text

    from rtemo.cli.view.console import plain_console
    from rtemo.cli.view.plain import clean

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", no_wrap=True)
    table.add_column("index", justify="right", no_wrap=True)
    table.add_column("name", overflow="fold")
    for name in ("channels", "rate"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("through")
    for device in devices:
        table.add_row(
            "*" if device.is_default else "",
            str(device.index),
            Text(clean(device.name), style="bold" if device.is_default else ""),
            str(device.channels),
            f"{device.default_rate_hz} Hz",
            clean(device.host_api),
        )
    plain_console().print(table)
