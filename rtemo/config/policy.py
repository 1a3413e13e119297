"""Policy: whose voice may be analysed, and for what purpose."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from rtemo.api.errors import ConfigError
from rtemo.api.roles import is_agent

EXEMPT_PURPOSES = ("medical", "safety", "self_training")
"""Purposes for which a person at work may be analysed: the two exceptions of the law, and one's own training."""


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rule for admitting a stream by the role of its speaker, applied before any audio is kept.

    A stream without a role is admitted: the engine cannot know who speaks, the operator must.
    """

    purpose: Annotated[
        Literal["customer_care", "research", "medical", "safety", "self_training"],
        Meta(
            description="What the results are used for. Streams of role 'agent' or 'employee' are refused unless it is "
            "'medical', 'safety' or 'self_training'."
        ),
    ] = "customer_care"
    analysed_roles: Annotated[
        tuple[str, ...], Meta(description="Roles that are analysed; empty means every role the purpose allows.")
    ] = ()

    def check(self) -> None:
        """Refuse a policy that contradicts itself.

        Raises:
            ConfigError: A role at work is listed while the purpose does not allow it.
        """
        for role in self.analysed_roles:
            if is_agent(role) and self.purpose not in EXEMPT_PURPOSES:
                raise ConfigError(
                    f"policy.analysed_roles lists {role!r}, which the purpose {self.purpose!r} does not allow",
                    f"take it out, or set policy.purpose to one of {', '.join(EXEMPT_PURPOSES)} if that is true",
                )

    def refusal(self, role: str) -> str:
        """Tell why a stream of this role is refused; empty when it is welcome.

        >>> Policy().refusal("customer")
        ''
        >>> Policy().refusal("Agent")
        "role 'Agent' is not analysed for the purpose 'customer_care'"
        >>> Policy(purpose="safety").refusal("agent")
        ''
        """
        if not role:
            return ""
        if is_agent(role) and self.purpose not in EXEMPT_PURPOSES:
            return f"role {role!r} is not analysed for the purpose {self.purpose!r}"
        if self.analysed_roles and role.casefold() not in {item.casefold() for item in self.analysed_roles}:
            return f"role {role!r} is not among policy.analysed_roles ({', '.join(self.analysed_roles)})"
        return ""
