"""Roles: who a speaker is in the call, where it matters by law."""

AGENT_ROLES = ("agent", "employee")
"""Roles of people at work: inferring their emotions is banned in the EU (AI Act, Art. 5(1)(f)) with few exceptions."""


def is_agent(role: str) -> bool:
    """Tell whether a role is that of a person at work, who is never ranked.

    >>> is_agent("Agent"), is_agent("customer"), is_agent("")
    (True, False, False)
    """
    return role.casefold() in AGENT_ROLES
