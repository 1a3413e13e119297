import pytest

from rtemo.api import ConfigError
from rtemo.config import Policy, parse_config

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("role", ["agent", "Agent", "EMPLOYEE"])
def test_people_at_work_are_refused_by_default(role):
    assert "not analysed for the purpose 'customer_care'" in Policy().refusal(role)


@pytest.mark.parametrize("purpose", ["medical", "safety", "self_training"])
def test_people_at_work_are_admitted_for_exempt_purposes(purpose):
    assert Policy(purpose=purpose).refusal("agent") == ""


def test_research_does_not_admit_people_at_work():
    assert Policy(purpose="research").refusal("agent")


@pytest.mark.parametrize("role", ["", "customer", "caller"])
def test_other_and_unknown_roles_are_admitted(role):
    assert Policy().refusal(role) == ""


def test_a_list_of_roles_shuts_the_others_out():
    policy = Policy(analysed_roles=("customer",))
    assert policy.refusal("Customer") == ""
    assert policy.refusal("") == ""
    assert "analysed_roles (customer)" in policy.refusal("supervisor")


def test_a_policy_that_lists_agents_without_the_purpose_is_refused():
    with pytest.raises(ConfigError, match=r"lists 'agent', which the purpose 'customer_care' does not allow"):
        parse_config('[policy]\nanalysed_roles = ["agent"]')
    assert parse_config('[policy]\npurpose = "safety"\nanalysed_roles = ["agent"]').policy.refusal("agent") == ""
