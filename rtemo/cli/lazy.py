"""LazyGroup: a click group that imports a verb only when it is called, so that `--help` stays fast."""

import difflib
import importlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import click


class Verb(NamedTuple):
    """Where a command lives, and its one-line help, known without importing it."""

    module: str
    summary: str
    section: str


class LazyGroup(click.Group):
    """A group whose commands are `module:command` names, imported on first use.

    Args:
        verbs: name → where it lives. The command object is the attribute `command` of the module.
    """

    def __init__(self, *args: Any, verbs: dict[str, Verb], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the verbs in the order of the table."""
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb."""
        verb = self.verbs.get(cmd_name)
        if verb is None:
            return None
        command: click.Command = importlib.import_module(verb.module).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb, or fail with the nearest one."""
        name = args[0]
        if name not in self.verbs and not name.startswith("-"):
            near = difflib.get_close_matches(name, self.verbs, n=1)
            mend = f"did you mean {near[0]!r}?" if near else "see rtemo --help"
            raise click.UsageError(f"there is no command {name!r}; {mend}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs in sections from the table, importing none."""
        width = max(map(len, self.verbs))
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, verb in self.verbs.items():
            sections.setdefault(verb.section, []).append((name.ljust(width), verb.summary))
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
