"""Roles: who a speaker is in the call, where it matters by law, and one way to read them."""

import re
import unicodedata

AGENT_ROLES = (
    "agent",
    "employee",
    "rep",
    "representative",
    "operator",
    "advisor",
    "adviser",
    "staff",
    "worker",
    "colleague",
    "supervisor",
    "manager",
    "trainee",
    "applicant",
    "candidate",
    "student",
    "pupil",
    "teacher",
)
"""Words for people at work and in education: inferring their emotions is banned in the EU (AI Act, Art. 5(1)(f)) with
few exceptions. The list names them, so that they are never ranked; it is not what keeps others out: roles that may be
analysed are listed in `[policy]`, and everybody else is not."""

_INVISIBLE = ("Cc", "Cf", "Cn", "Co", "Cs")


def canonical_role(role: str) -> str:
    r"""Give the one form of a role that everything compares: what looks the same is the same.

    Compatibility forms are resolved (NFKC), so that full-width letters are letters; characters that cannot be seen are
    taken out; case and outer or repeated blanks do not count.

    >>> canonical_role(" Ａgent\u200b\n"), canonical_role("Call  Center-Agent"), canonical_role("\ufeff")
    ('agent', 'call center-agent', '')
    """
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", role).casefold())
    seen = "".join(" " if char.isspace() else "" if unicodedata.category(char) in _INVISIBLE else char for char in text)
    return " ".join(seen.split())


def is_agent(role: str) -> bool:
    r"""Tell whether a role is that of a person at work, who is never ranked.

    Any word of it decides, in the singular or the plural.

    >>> [is_agent(role) for role in ("Agent", "agents\n", "call-center-agent", "customer", "")]
    [True, True, True, False, False]
    """
    words = re.split(r"[\W_]+", canonical_role(role))
    return any(word in AGENT_ROLES or (word.endswith("s") and word[:-1] in AGENT_ROLES) for word in words)
