import pytest

from rtemo.api import ConfigError
from rtemo.config import Policy, parse_config

pytestmark = pytest.mark.unit


def scope(role: str, *, is_local: bool = False, **policy) -> str:
    return Policy(**policy).rule(role, is_local=is_local).analysis


@pytest.mark.parametrize("role", ["agent", "Agent", "EMPLOYEE", "supervisor", "the boss", "Kunde"])
def test_people_at_work_and_whoever_is_not_listed_are_timed_only(role):
    assert scope(role) == scope(role, is_local=True) == "timing"
    assert scope(role, others="refuse") == "refused"


@pytest.mark.parametrize("purpose", ["medical", "safety", "self_training"])
def test_people_at_work_are_analysed_for_exempt_purposes(purpose):
    assert scope("agent", purpose=purpose) == "person"


def test_research_does_not_allow_people_at_work_to_be_analysed():
    assert scope("agent", purpose="research") == "timing"


@pytest.mark.parametrize("role", ["customer", "Caller", "patient", "user", "speaker"])
def test_listed_roles_are_analysed(role):
    assert scope(role) == "person"


def test_a_stream_without_a_role_is_analysed_where_somebody_here_chose_it():
    assert scope("", is_local=True) == "person"
    assert scope("") == "timing"
    assert scope("", unnamed="analyse") == "person"
    assert scope("", unnamed="timing", is_local=True) == "timing"
    assert scope("", unnamed="refuse", is_local=True) == "refused"


def test_a_list_of_roles_shuts_the_others_out():
    assert scope("Guest", analysed_roles=("guest",)) == "person"
    ruling = Policy(analysed_roles=("guest",)).rule("customer")
    assert ruling.analysis == "timing"
    assert "analysed_roles (guest)" in ruling.reason


def test_a_policy_that_lists_agents_without_the_purpose_is_refused():
    for role in ("agent", " Agents", "call-center-agent"):
        with pytest.raises(ConfigError, match=r"which the purpose 'customer_care' does not allow"):
            parse_config(f'[policy]\nanalysed_roles = ["{role}"]')
    assert parse_config('[policy]\npurpose = "safety"\nanalysed_roles = ["agent"]').policy.rule("agent").reason == ""


def test_a_role_that_names_nobody_cannot_be_listed():
    with pytest.raises(ConfigError, match="names nobody"):
        parse_config('[policy]\nanalysed_roles = ["\\u200b"]')
