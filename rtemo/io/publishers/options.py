"""Options of the publishers on this machine, as the configuration file knows them; imports nothing heavy."""

from typing import Annotated

import msgspec
from msgspec import Meta


class JsonlOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a file with one JSON object per event and line."""

    path: Annotated[str, Meta(description="The file; - is standard output.")] = "events.jsonl"
    append: Annotated[bool, Meta(description="Keep what the file holds.")] = False


class ConsoleOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of events as lines of text on standard output."""

    kinds: Annotated[tuple[str, ...], Meta(description="Kinds of events to write; empty for all.")] = ()


class StoreOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a SQLite file of events."""

    path: Annotated[str, Meta(min_length=1, description="The file; made when it is not there.")] = "events.db"
    keep_days: Annotated[float, Meta(gt=0, le=36_500, description="How long events are kept, in days.")] = 30.0
    readings: Annotated[
        bool, Meta(description="Keep what is measured all the time, too: level, prosody, the engine's health.")
    ] = False
    leave_out: Annotated[tuple[str, ...], Meta(description="Further kinds of events that are not kept.")] = ()
