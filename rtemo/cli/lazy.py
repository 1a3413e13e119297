"""LazyGroup: a click group that imports a verb only when it is called, so that `--help` stays fast."""

import difflib
import importlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import click

GROUP = "rtemo.verbs"
"""Group of entry points by which packages bring verbs."""
_BROUGHT = "Brought by models and packages"


class Verb(NamedTuple):
    """Where a command lives, and its one-line help, known without importing it."""

    module: str
    summary: str
    section: str


class LazyGroup(click.Group):
    """A group whose commands are `module:command` names, imported on first use.

    Installed packages bring further ones through a group of entry points, each of which names a module with `command`,
    which gets a `rtemo.api.Tools` by `click.pass_obj`; those of `verbs` come first.

    Args:
        verbs: name → where it lives. The command object is the attribute `command` of the module.
        brought_by: The group of entry points; none where packages bring nothing.
        elsewhere: What to say of a command that there is not, where none has nearly that name.
    """

    def __init__(
        self, *args: Any, verbs: dict[str, Verb], brought_by: str = "", elsewhere: str = "", **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.verbs = verbs
        self._brought_by = brought_by
        self._elsewhere = elsewhere
        self._brought: dict[str, Verb] | None = None if brought_by else {}

    @property
    def brought(self) -> dict[str, Verb]:
        """The verbs that installed packages bring; finding them takes some 10 ms, so only who needs them asks."""
        if self._brought is None:
            from importlib.metadata import entry_points

            self._brought = {
                point.name: Verb(point.value, "", _BROUGHT)
                for point in sorted(entry_points(group=self._brought_by), key=lambda point: point.name)
                if point.name not in self.verbs
            }
        return self._brought

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the verbs in the order of the table."""
        return [*self.verbs, *self.brought]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb."""
        verb = self.verbs.get(cmd_name) or self.brought.get(cmd_name)
        if verb is None:
            return None
        try:
            command: click.Command = importlib.import_module(verb.module).command
        except (ImportError, AttributeError) as error:
            if cmd_name in self.verbs:
                raise
            raise click.UsageError(
                f"the command {cmd_name!r} cannot be imported ({error}); reinstall the package that brings it", ctx
            ) from error
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb, or fail with the nearest one."""
        name = args[0]
        if name not in self.verbs and not name.startswith("-") and name not in self.brought:
            near = difflib.get_close_matches(name, [*self.verbs, *self.brought], n=1)
            mend = f"did you mean {near[0]!r}?" if near else self._elsewhere or f"see {ctx.command_path} --help"
            raise click.UsageError(f"there is no command {name!r}; {mend}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs in sections from the table, importing none but those that packages bring."""
        width = max(map(len, self.list_commands(ctx)))
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, verb in self.verbs.items():
            sections.setdefault(verb.section, []).append((name.ljust(width), verb.summary))
        for name in self.brought:
            try:
                command = self.get_command(ctx, name)
            except click.UsageError:  # one that is broken does not take the help of the others along
                continue
            if command is not None:
                sections.setdefault(_BROUGHT, []).append((name.ljust(width), command.get_short_help_str(80)))
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the epilogue in paragraphs."""
        for paragraph in _paragraphs(self.epilog):
            formatter.write_paragraph()
            formatter.write_text(paragraph)


def _paragraphs(text: str | None) -> Sequence[str]:
    return [" ".join(part.split()) for part in (text or "").split("\n\n") if part.strip()]
