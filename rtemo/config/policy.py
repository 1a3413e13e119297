"""Policy: whose voice may be analysed, and for what purpose."""

from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from rtemo.api.errors import ConfigError
from rtemo.api.roles import canonical_role, is_agent

EXEMPT_PURPOSES = ("medical", "safety", "self_training")
"""Purposes for which a person at work may be analysed: the two exceptions of the law, and one's own training."""

ANALYSED_ROLES = ("caller", "customer", "client", "patient", "user", "speaker", "self")
"""Roles that are analysed unless the configuration says otherwise."""

Analysis = Literal["person", "timing", "refused"]
"""What may be found out about a stream: anything, only when somebody speaks, or nothing: it is not let in."""


class Ruling(NamedTuple):
    """What the policy says about a stream, and why."""

    analysis: Analysis
    reason: str


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rule for admitting a stream by the role of its speaker, applied before any audio is kept.

    Roles that may be analysed are listed; everybody else is not, whatever they are called, since a list of those who
    may not be would have to know every name for them. Of the others only the timing is told: speech, silence, overlap.
    Who opens a file, a microphone or a stream of their own program knows who speaks; a network does not.
    """

    purpose: Annotated[
        Literal["customer_care", "research", "medical", "safety", "self_training"],
        Meta(
            description="What the results are used for. People at work ('agent', 'employee' and the like) are analysed "
            "only if it is 'medical', 'safety' or 'self_training'."
        ),
    ] = "customer_care"
    analysed_roles: Annotated[
        tuple[str, ...],
        Meta(description="Roles that are analysed; of everybody else no more than `others` says is found out."),
    ] = ANALYSED_ROLES
    unnamed: Annotated[
        Literal["local", "analyse", "timing", "refuse"],
        Meta(
            description="What becomes of a stream without a role. 'local': analysed where somebody here chose it "
            "(files, microphone, standard input, an embedding program), timed only where it comes over a network."
        ),
    ] = "local"
    others: Annotated[
        Literal["timing", "refuse"],
        Meta(
            description="What becomes of a stream whose role is not analysed. 'timing': speech, silence and overlap "
            "are told, and nothing about the person; 'refuse': it is not let in."
        ),
    ] = "timing"

    words: Annotated[
        Literal["local", "always"],
        Meta(
            description="Where plugins may write down what is said. 'local': in `listen`, `analyze` and programs that "
            "embed rtemo; 'always': in `serve` too, which publishes it."
        ),
    ] = "local"

    def check(self) -> None:
        """Refuse a policy that contradicts itself.

        Raises:
            ConfigError: A role at work is listed while the purpose does not allow it, or one has no name.
        """
        for role in self.analysed_roles:
            if not canonical_role(role):
                raise ConfigError(
                    f"policy.analysed_roles lists {role!r}, which names nobody",
                    'take it out; `policy.unnamed = "analyse"` is for streams without a role',
                )
            if is_agent(role) and self.purpose not in EXEMPT_PURPOSES:
                raise ConfigError(
                    f"policy.analysed_roles lists {role!r}, which the purpose {self.purpose!r} does not allow",
                    f"take it out, or set policy.purpose to one of {', '.join(EXEMPT_PURPOSES)} if that is true",
                )

    def rule(self, role: str, *, is_local: bool = False) -> Ruling:
        """Tell what may be found out about a stream of this role.

        Args:
            role: As announced; empty when unknown.
            is_local: Whether somebody on this machine chose the stream.

        >>> policy = Policy()
        >>> [policy.rule(role).analysis for role in ("Customer", "agent", "the boss", "")]
        ['person', 'timing', 'timing', 'timing']
        >>> policy.rule("", is_local=True).analysis, Policy(purpose="safety").rule("agent").analysis
        ('person', 'person')
        >>> Policy(others="refuse").rule("Agent")
        Ruling(analysis='refused', reason="role 'Agent' is not analysed for the purpose 'customer_care'")
        """
        name = canonical_role(role)
        if not name:
            if self.unnamed == "analyse" or (self.unnamed == "local" and is_local):
                return Ruling("person", "")
            analysis: Analysis = "refused" if self.unnamed == "refuse" else "timing"
            return Ruling(analysis, "a stream without a role is not analysed")
        if is_agent(name):
            if self.purpose in EXEMPT_PURPOSES:
                return Ruling("person", "")
            reason = f"role {role!r} is not analysed for the purpose {self.purpose!r}"
        elif name in map(canonical_role, self.analysed_roles):
            return Ruling("person", "")
        else:
            reason = f"role {role!r} is not among policy.analysed_roles ({', '.join(self.analysed_roles)})"
        return Ruling("refused" if self.others == "refuse" else "timing", reason)
