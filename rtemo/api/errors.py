"""Errors a user can act on: each says what was got, what was expected and what to do."""


class RtemoError(Exception):
    """A problem whose text is meant for a person; the command line prints it as one line.

    Args:
        problem: What was got and what was expected, as one sentence without a full stop.
        mend: What the reader can do about it; may be empty when nothing can be done.
    """

    def __init__(self, problem: str, mend: str = "") -> None:
        super().__init__(problem, mend)
        self.problem = problem
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.problem}; {self.mend}" if self.mend else self.problem


class AudioInputError(RtemoError):
    """Audio that cannot be read: a missing, empty or damaged file, a bad rate or sample type."""


class CapacityError(RtemoError):
    """A stream refused because the engine is full; the caller may try again later."""


class FullError(CapacityError):
    """Every stream that the engine holds is in use."""


class NameTakenError(CapacityError):
    """A stream of the same call and channel is open, or has not been worked off to its end yet."""


class ConfigError(RtemoError):
    """A setting that is unknown, of the wrong type or out of range."""


class DeviceError(RtemoError):
    """A capture device that is missing, silent, refused or lost."""


class EndpointError(RtemoError):
    """A network endpoint that cannot be bound, reached, or used safely."""


class ModelError(RtemoError):
    """A model bundle that is missing, damaged, of the wrong hash or of the wrong shape."""


class PolicyError(RtemoError):
    """A stream that the policy does not let in; to try again is of no use."""


class PluginError(RtemoError):
    """A plugin that is unknown, wrongly ordered, or breaks the contract."""
