import pytest

from rtemo.api import EndpointError
from rtemo.io.endpoints import parse_endpoint
from rtemo.io.sockets import check_exposure
from rtemo.io.zmq_options import CurveOptions

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("text", ["tcp://127.0.0.1:5570", "tcp://127.9.9.9:1", "tcp://localhost:80", "tcp://[::1]:99",
                                  "tcp://lo:5570", "ipc:///run/rtemo/events", "inproc://here"])  # fmt: skip
def test_loopback_and_ipc_are_local(text: str) -> None:
    endpoint = parse_endpoint(text)
    assert endpoint.is_local
    check_exposure(endpoint, CurveOptions(), False, "publish")


@pytest.mark.parametrize("text", ["tcp://*:5570", "tcp://0.0.0.0:5570", "tcp://10.0.0.7:5570", "tcp://eth0:5570",
                                  "tcp://[::]:5570", "tcp://voice.example:5570", "tcp://128.0.0.1:1"])  # fmt: skip
def test_address_beyond_this_machine_is_refused_without_encryption(text: str) -> None:
    with pytest.raises(EndpointError, match="plain text") as caught:
        check_exposure(parse_endpoint(text), CurveOptions(), False, "publish")
    assert "publish.curve.key_file" in caught.value.mend
    assert "insecure_plaintext" in caught.value.mend


def test_address_beyond_this_machine_is_allowed_with_keys_or_on_request() -> None:
    everywhere = parse_endpoint("tcp://*:5570")
    check_exposure(everywhere, CurveOptions(key_file="server.key_secret"), False, "publish")
    check_exposure(everywhere, CurveOptions(), True, "publish")


@pytest.mark.parametrize("text", ["", "5570", "127.0.0.1:5570", "tcp://127.0.0.1", "tcp://:5570", "udp://127.0.0.1:1",
                                  "tcp://127.0.0.1:99999", "tcp://127.0.0.1:-1", "ipc://", "tcp://a:b:c"])  # fmt: skip
def test_text_that_is_no_endpoint_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(EndpointError) as caught:
        parse_endpoint(text)
    assert caught.value.mend


def test_path_too_long_for_the_system_is_refused_before_binding() -> None:
    with pytest.raises(EndpointError, match="107"):
        parse_endpoint("ipc:///tmp/" + "x" * 120)


def test_neighbouring_port_beyond_the_last_one_is_refused() -> None:
    with pytest.raises(EndpointError, match="65536"):
        parse_endpoint("tcp://127.0.0.1:65534").beside(2, "query")


def test_neighbour_of_a_port_the_system_chooses_is_chosen_too() -> None:
    assert parse_endpoint("tcp://127.0.0.1:*").beside(2, "query").port == 0
