"""`rtemo workers`: the processes that share the calls of a running server."""

from typing import TYPE_CHECKING

import click

from rtemo.cli.options import configured

if TYPE_CHECKING:
    from rtemo.cluster.control import ControlReply
    from rtemo.config import Config


@click.command("workers")
@click.argument("control", metavar="CONTROL", required=False)
@click.argument("op", type=click.Choice(["list", "add", "remove", "renew", "drain"]), default="list")
@click.argument("worker", type=click.IntRange(1), required=False)
@click.option("--json", "as_json", is_flag=True, help="The answer as one JSON object.")
@configured
def command(config: "Config", control: str | None, op: str, worker: int | None, as_json: bool) -> None:
    """List the workers of the server at CONTROL, add one, remove one, renew all, or have the server drain.

    CONTROL is the endpoint that rtemo serve --workers names at its start, or that of workers.control. A worker that is
    removed gets no new calls; those it has move to others when nobody speaks in them, after workers.move_s at the
    latest. With renew each is replaced in turn by one that is started afresh, the oldest first. With drain the server
    takes no new calls and ends when the last one has ended.
    """
    import msgspec

    from rtemo.api import ConfigError
    from rtemo.cluster.control import ask

    endpoint = control or config.workers.control
    if not endpoint:
        raise ConfigError("it is not known where the server is reached", "give the endpoint `control` that it names")
    if op == "remove" and worker is None:
        raise ConfigError("remove needs the number of a worker", f"see: rtemo workers {endpoint}")
    reply = ask(endpoint, op, worker or 0)
    if as_json:
        click.echo(msgspec.json.encode(reply))
        return
    _show(reply)


def _show(reply: "ControlReply") -> None:
    head = f"{'worker':<8}{'state':<12}{'process':>8}{'streams':>9}{'load':>7}{'late p99':>10}{'restarts':>10}"
    click.echo(head + ("  node" if reply.nodes else ""))
    for one in reply.workers:
        process = reply.processes.get(one.name, "")
        late = f"{one.late_p99_us / 1000:.1f} ms"
        row = f"{one.name:<8}{one.state:<12}{process:>8}{one.streams:>9}{one.load:>7.2f}{late:>10}{one.restarts:>10}"
        node = reply.nodes.get(one.name)
        click.echo(row + (f"  {node}" if node else ""))
    if reply.to_renew:
        click.echo(f"{reply.to_renew} to be renewed")
