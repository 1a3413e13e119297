"""`rtemo warm`: compile every kernel ahead."""

from typing import TYPE_CHECKING

import click

from rtemo.cli.options import configured

if TYPE_CHECKING:
    from rtemo.config import Config


@click.command("warm")
@click.option("--quiet", is_flag=True, help="No progress.")
@configured
def command(config: "Config", quiet: bool) -> int:
    """Compile every kernel of the chain, and those of sources and sinks, and keep them on disk.

    The first start of anything does this by itself; done ahead, in an installation or when an image is built, it lets
    every later start take about a second. The folder that is printed can be copied along, to machines with the same
    kind of processor; NUMBA_CACHE_DIR names another. The exit status is 1 when nothing could be kept.
    """
    from rtemo.cli.main import EXIT_FAILED, say
    from rtemo.cli.starting import StartLine
    from rtemo.dsp import kernel_cache
    from rtemo.warming import warm

    done = warm(config, None if quiet else StartLine())
    click.echo(done)
    if done.problem:
        say("! kernels are not kept; set NUMBA_CACHE_DIR to a folder that this user can write")
        return EXIT_FAILED
    for folder in kernel_cache.folders_in_use():
        click.echo(f"kept in {folder}")
    return 0
