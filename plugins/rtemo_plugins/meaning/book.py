"""Book: what is looked for now, which may change while the engine runs."""

import threading

from rtemo.api import ConfigError
from rtemo_plugins.meaning.options import MeaningOptions
from rtemo_plugins.meaning.queries import Query, read_queries


class Book:
    """The queries of the configuration and those that were asked since; see `rtemo.api.Queries`.

    Args:
        options: Of the plugin.

    Raises:
        ConfigError: A query of the configuration cannot be read.
    """

    def __init__(self, options: MeaningOptions) -> None:
        self._is_open = options.takes_queries
        self._in_rules = {query.text for query in read_queries([rule.query for rule in options.alerts])}
        self._lock = threading.Lock()
        self._queries: tuple[Query, ...] = tuple(read_queries(options.queries))

    @property
    def now(self) -> tuple[Query, ...]:
        """What is looked for; another object after every change."""
        return self._queries

    def texts(self) -> tuple[str, ...]:
        """List the queries as they are told."""
        return tuple(query.text for query in self._queries)

    def ask(self, text: str) -> str:
        """Look for one more; the next window of every stream is scored by it.

        Raises:
            ConfigError: It cannot be read, there are too many, or nobody may ask.
        """
        self._check_open()
        (query,) = read_queries([text])
        with self._lock:
            self._queries = tuple(read_queries([*self.texts(), query.text]))
        return query.text

    def forget(self, text: str) -> None:
        """Look for it no more.

        Raises:
            ConfigError: It is not asked, a rule rests on it, or nobody may take it back.
        """
        self._check_open()
        (query,) = read_queries([text])
        if query.text in self._in_rules:
            raise ConfigError(f"a rule for alerts rests on the query {query.text!r}", "take the rule out first")
        with self._lock:
            if query.text not in self.texts():
                raise ConfigError(f"the query {query.text!r} is not asked", "list those that are")
            self._queries = tuple(one for one in self._queries if one.text != query.text)

    def _check_open(self) -> None:
        if not self._is_open:
            raise ConfigError(
                "the queries of this engine are fixed", "start it with `plugins.meaning.takes_queries = true`"
            )
