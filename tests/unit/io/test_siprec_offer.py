"""Bodies of INVITEs of recording sessions: as session border controllers send them, and as nobody should."""

from pathlib import Path

import pytest

from rtemo.io.gateways.siprec_offer import Offer, read_offer
from rtemo.io.siprec import MOST_BYTES, SiprecError
from tests.fakes.rtp_ports import METADATA, SDP, invitation

pytestmark = pytest.mark.unit

ACME = Path(__file__).with_name("siprec") / "acme.txt"


def told(offer: Offer) -> list[tuple[int, str, list[int], list[str]]]:
    return [
        (one.media_line, one.label, list(one.formats), [speaker.address for speaker in one.participants])
        for one in offer.streams
    ]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_body_of_a_session_border_controller_gives_both_legs(line_end: str) -> None:
    offer = read_offer(ACME.read_text().replace("\n", line_end))
    assert offer.call == "AavRXwIIQj1Q39eJulTipQ=="
    assert told(offer) == [
        (0, "16777227", [0], ["sip:9000@192.168.50.102"]),
        (1, "16777228", [0], ["sip:1002@192.168.50.10"]),
    ]


def test_boundary_is_that_of_the_content_type_or_of_the_first_line() -> None:
    body = "This is a multipart message.\r\n" + invitation(mark="a b")
    for kind in ('multipart/mixed; boundary="a b"', 'Multipart/Mixed;Boundary="a b";charset=utf-8'):
        assert read_offer(body, kind) == read_offer(invitation())
    with pytest.raises(SiprecError, match="does not begin with a boundary"):
        read_offer(body)


def test_what_is_not_audio_or_put_to_an_end_wants_no_port() -> None:
    sdp = "m=video 9 RTP/AVP 99\n" + SDP.replace("m=audio 20106", "m=audio 0") + "m=audio 0 RTP/AVP 0\n"
    assert told(read_offer(invitation(sdp))) == [(2, "20", [8], ["sip:desk@pbx.example"])]


def test_payload_types_without_a_name_are_the_static_ones_and_those_not_understood_are_left_out() -> None:
    sdp = SDP.replace("RTP/AVP 0 101", "RTP/AVP 18 8 9 0 120 13").replace("a=rtpmap:101 telephone-event/8000\n", "")
    assert list(read_offer(invitation(sdp)).streams[0].formats) == [8, 0, 13]
    sdp = SDP.replace("a=rtpmap:0 PCMU/8000", "a=rtpmap:0 PCMU/8000/1").replace("0 101", "0 96 101")
    sdp = sdp.replace("a=label:10", "a=rtpmap:96 opus/48000/2\na=label:10")
    assert [format.name for format in read_offer(invitation(sdp)).streams[0].formats.values()] == [
        "PCMU",
        "opus",
        "telephone-event",
    ]


def test_roles_go_by_label_before_address_before_name_and_nobody_is_guessed() -> None:
    first, second = read_offer(invitation()).streams
    assert first.role({"Bob": "caller", "sip:bob@pbx.example": "customer"}) == "customer"
    assert first.role({"Bob": "caller", "10": "patient"}) == "patient"
    assert (first.role({"Bob": "caller"}), second.role({"Bob": "caller"})) == ("caller", "")


def test_mixed_stream_is_not_taken_for_either_of_its_speakers() -> None:
    mixed = METADATA.replace("<send>Y=</send>", "<send>X=</send>")
    stream = read_offer(invitation(metadata=mixed)).streams[0]
    assert stream.role({"Bob": "customer", "sip:desk@pbx.example": "agent"}) == "mixed"
    assert stream.role({"10": "speaker"}) == "speaker"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "does not begin with a boundary"),
        (SDP, "does not begin with a boundary"),
        ("--", "does not begin with a boundary"),
        (" " * (MOST_BYTES + 1), "more than 65536"),
        ("--a\n" * 40, "more than 16 parts"),
        (invitation().replace("application/sdp", "text/plain"), "no part application/sdp"),
        (invitation().replace("rs-metadata", "metadata"), "no part application/rs-metadata"),
        (invitation("v=0"), "no m=audio"),
        (invitation(SDP.replace("RTP/AVP 0 101", "")), "expected m=audio PORT"),
        (invitation(SDP.replace("20106", "x")), "expected m=audio PORT"),
        (invitation(SDP.replace("a=label:10", "")), "m= line 0 of the SDP has no a=label"),
        (invitation(SDP.replace("a=label:10", "a=label:20")), "without a label of their own"),
        (invitation(SDP.replace("RTP/AVP 0", "RTP/SAVP 0")), "offered as RTP/SAVP; offer RTP/AVP"),
        (invitation(SDP.replace("18 8", "18 " + 5_000 * "8")), "label '20' is offered as G729/8000"),
        (invitation(SDP.replace("18 8", "18 101")), "label '20' is offered as G729/8000, 101"),
        (invitation(SDP * 9), "lines of audio, more than 8"),
        (invitation(SDP + "a=x\n" * 3_000), "more than 2000 lines"),
        (invitation(metadata="<recording"), "is no XML"),
        (invitation(metadata="<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>"), "document type"),
        (invitation(metadata="<recording_metadata/>"), "expected a 'recording'"),
    ],
)
def test_what_is_no_offer_is_refused_in_one_line(body: str, said: str) -> None:
    with pytest.raises(SiprecError, match=said) as refused:
        read_offer(body)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300
