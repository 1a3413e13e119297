"""`rtemo version`: what is installed, in the form that belongs into a report of a fault."""

import platform
from importlib.metadata import PackageNotFoundError, version

import click

PACKAGES = ("rtemo-weights", "numpy", "numba", "onnxruntime", "pyzmq", "msgspec", "sounddevice", "soundfile")


@click.command("version")
def command() -> None:
    """Print the versions of rtemo and of what it runs on."""
    click.echo(f"rtemo {_version('rtemo')}")
    click.echo(f"python {platform.python_version()} on {platform.system()} {platform.machine()}")
    for name in PACKAGES:
        click.echo(f"{name} {_version(name)}")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
