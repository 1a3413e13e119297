"""Metadata of recording sessions: shaped as in RFC 7865 and as senders of the drafts before it write it."""

import pytest

from rtemo.io.siprec import MOST_BYTES, SiprecError, read_metadata

pytestmark = pytest.mark.unit

NAMESPACE = "urn:ietf:params:xml:ns:recording:1"


def metadata(inner: str, namespace: str = NAMESPACE, prefix: str = "") -> bytes:
    mark = f"xmlns:{prefix[:-1]}" if prefix else "xmlns"
    text = f"<{prefix}recording {mark}='{namespace}'>{inner}</{prefix}recording>"
    return f"<?xml version='1.0' encoding='UTF-8'?>{text}".encode()


SESSION = """
<datamode>complete</datamode>
<session session_id="hVpd7YQgRW2nD22h7q60JQ==">
  <sipSessionID>ab30317f1a784dc48ff824d0d3715d86;remote=47755a9de7794ba387653f2099600ef2</sipSessionID>
</session>
"""
PEOPLE = """
<participant participant_id="srfBElmCRp2QB23b7Mpk0w==">
  <nameID aor="sip:bob@biloxi.example"><name xml:lang="it">Bob</name></nameID>
</participant>
<participant participant_id="zSfPoSvdSDCmU3A3TRDxAw=="><nameID aor="paul@box.example"/></participant>
"""
STREAMS = """
<stream stream_id="UAAMm5GRQKSCMVvLyl4rFw==" session_id="hVpd7YQgRW2nD22h7q60JQ=="><label>96</label></stream>
<stream stream_id="i1Pz3to5hGk8fuXl+PbwCw==" session_id="hVpd7YQgRW2nD22h7q60JQ=="><label>97</label></stream>
"""
LINKS = """
<participantstreamassoc participant_id="srfBElmCRp2QB23b7Mpk0w==">
  <send>UAAMm5GRQKSCMVvLyl4rFw==</send><recv>i1Pz3to5hGk8fuXl+PbwCw==</recv>
</participantstreamassoc>
<participantstreamassoc participant_id="zSfPoSvdSDCmU3A3TRDxAw==">
  <send>i1Pz3to5hGk8fuXl+PbwCw==</send><recv>UAAMm5GRQKSCMVvLyl4rFw==</recv>
</participantstreamassoc>
"""


@pytest.mark.parametrize("prefix", ["", "tns:"])
def test_a_call_of_two_says_whose_voice_each_stream_carries(prefix: str) -> None:
    inner = SESSION + PEOPLE + STREAMS + LINKS
    if prefix:
        inner = inner.replace("</", "\0").replace("<", f"<{prefix}").replace("\0", f"</{prefix}")
    found = read_metadata(metadata(inner, prefix=prefix))
    assert found.call == "ab30317f1a784dc48ff824d0d3715d86"
    assert [(one.address, one.name, one.labels) for one in found.participants] == [
        ("sip:bob@biloxi.example", "Bob", ("96",)),
        ("sip:paul@box.example", "", ("97",)),
    ]
    assert [(stream.label, stream.senders, stream.is_mixed) for stream in found.streams] == [
        ("96", (0,), False),
        ("97", (1,), False),
    ]
    assert found.is_complete


def test_a_stream_that_two_send_to_is_mixed() -> None:
    link = LINKS.replace("<send>i1Pz3to5hGk8fuXl+PbwCw==", "<send>UAAMm5GRQKSCMVvLyl4rFw==")
    first, second = read_metadata(metadata(SESSION + PEOPLE + STREAMS + link)).streams
    assert (first.senders, first.is_mixed) == ((0, 1), True)
    assert (second.senders, second.is_mixed) == ((), False)


def test_senders_of_the_drafts_are_read() -> None:
    inner = """
    <datamode>partial</datamode><session id="S="/>
    <participant id="A=" session="S="><nameID aor="sip:9000@pbx.example"><name>9000</name></nameID><send>X=</send>
      <extensiondata xmlns:v="http://vendor.example/siprec"><v:participant>true</v:participant></extensiondata></participant>
    <participant id="B=" session="S="><nameID aor="sip:1002@pbx.example"/><send>Y=</send></participant>
    <stream id="X=" session="S="><label>16777227</label></stream>
    <stream id="Y=" session="S="><label>16777228</label></stream>
    """
    found = read_metadata(metadata(inner, "urn:ietf:params:xml:ns:recording"))
    assert (found.call, found.is_complete) == ("S=", False)
    assert [one.labels for one in found.participants] == [("16777227",), ("16777228",)]


def test_without_a_link_between_people_and_streams_nobody_is_guessed() -> None:
    found = read_metadata(metadata(SESSION + PEOPLE + STREAMS))
    assert [stream.senders for stream in found.streams] == [(), ()]
    assert [one.labels for one in found.participants] == [(), ()]


def test_what_would_move_a_cursor_is_not_shown() -> None:
    found = read_metadata(metadata(SESSION + PEOPLE.replace("Bob", "B\u202eob\u200b") + STREAMS + LINKS))
    assert found.participants[0].name.isprintable()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is no XML"),
        (b"<recording", "is no XML"),
        (b"\xff\xfe\x00", "is no XML"),
        (b"<recording_metadata/>", "a 'recording_metadata', expected a 'recording'"),
        (b"<x:recording xmlns:x='urn:other'/>", "expected a 'recording'"),
        (metadata(PEOPLE), "names no session"),
        (metadata(SESSION + STREAMS.replace("97", "96")), "without a label of their own"),
        (metadata(SESSION + STREAMS.replace("97", "")), "without a label of their own"),
        (metadata(SESSION + PEOPLE + PEOPLE), "without an id of their own"),
        (b"<!DOCTYPE recording [<!ENTITY a 'b'>]><recording>&a;</recording>", "declares a document type"),
        (b"<!DOCTYPE recording SYSTEM 'file:///etc/passwd'><recording/>", "declares a document type"),
        (b"<?xml version='1.0' encoding='x-nobody'?><recording/>", "encoding"),
        (b"<a>" * 40 + b"</a>" * 40, "more elements, or deeper ones"),
        (metadata("<group/>" * 2000), "more elements, or deeper ones"),
        (metadata(" " * MOST_BYTES), "more than 65536"),
    ],
)
def test_what_is_no_metadata_is_refused_in_one_line(data: bytes, said: str) -> None:
    with pytest.raises(SiprecError, match=said) as refused:
        read_metadata(data)
    assert "\n" not in str(refused.value)
    assert refused.value.mend
