"""Queries: what a plugin looks for in words, asked and taken back while the engine runs."""

from typing import Protocol, runtime_checkable


class Queries(Protocol):
    """The list of what is looked for; safe to use on any thread."""

    def texts(self) -> tuple[str, ...]:
        """List the queries as they are told in events, in the order in which they were asked."""

    def ask(self, text: str) -> str:
        """Look for one more thing from now on; the query as it will be told. One that is there already stays.

        Raises:
            ConfigError: It cannot be read, there are too many, or the configuration lets nobody ask.
        """

    def forget(self, text: str) -> None:
        """Look for it no more.

        Raises:
            ConfigError: It is not asked, a rule rests on it, or the configuration lets nobody take it back.
        """


@runtime_checkable
class AskedPlugin(Protocol):
    """A plugin that looks for what it is asked. What it has under `queries` is there before it is opened."""

    queries: Queries


@runtime_checkable
class AskingPublisher(Protocol):
    """A publisher whose clients may ask; it is lent the queries of the chain, if there are any, before it is opened."""

    def lend_queries(self, queries: Queries) -> None:
        """Take what clients may ask; its methods may be called on the publish thread."""
