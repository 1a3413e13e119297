"""SIPREC metadata (RFC 7865): who takes part in a recorded call, and whose voice each stream of it carries.

It comes as a part `application/rs-metadata+xml` of the INVITE of a recording session (RFC 7866). Senders that follow
the drafts before it are read, too: another namespace, `id` for `participant_id`, `send` within a participant.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from xml.parsers import expat

from rtemo.api import RtemoError
from rtemo.api.text import plain

MOST_BYTES = 65_536
_MOST_DEPTH, _MOST_ELEMENTS, _MOST_CHARS = 16, 1_000, 256
_NAMESPACES = ("urn:ietf:params:xml:ns:recording", "urn:ietf:params:xml:ns:siprec")
_MEND = "send the metadata of RFC 7865, or record without it"


class SiprecError(RtemoError):
    """Metadata of a recording session that cannot be read."""


class Participant(NamedTuple):
    """Somebody who takes part.

    Attributes:
        id: As the sender has it.
        address: Address of record, as `sip:1002@example.com`; empty when it is not said.
        name: As shown; empty when it is not said.
        labels: SDP labels of the streams that carry this voice.
    """

    id: str
    address: str
    name: str
    labels: tuple[str, ...]


class RecordedStream(NamedTuple):
    """A stream of the recording session.

    Attributes:
        label: As in the SDP (`a=label`).
        senders: Numbers of the participants whose voices it carries; several of a mixed stream, none when it is not
            said.
    """

    label: str
    senders: tuple[int, ...]

    @property
    def is_mixed(self) -> bool:
        """Whether it carries more than one voice, so that it must not be taken for either's."""
        return len(self.senders) > 1


class Recording(NamedTuple):
    """What a sender says of a recorded call.

    Attributes:
        call: A name for it: the SIP session id (RFC 7989) of the call, else the id of the communication session.
        participants: In the order in which they are described.
        streams: By label, in that order.
        is_complete: Whether this is all there is; else what is left out stays as it was said before.
    """

    call: str
    participants: tuple[Participant, ...]
    streams: tuple[RecordedStream, ...]
    is_complete: bool


@dataclass(slots=True)
class _Element:
    name: str
    attributes: dict[str, str]
    text: str = ""
    children: list["_Element"] = field(default_factory=list)

    def all(self, name: str) -> Iterator["_Element"]:
        return (child for child in self.children if child.name == name)

    def said(self, name: str) -> str:
        """Text of the first child of a name; empty when there is none."""
        return next((child.text for child in self.all(name)), "")

    def id_of(self, name: str) -> str:
        """An id by its name in the RFC, or in a draft, `id` of the element itself and `session` of another."""
        return self.attributes.get(name) or self.attributes.get("id" if name.startswith(self.name) else name[:-3], "")


def read_metadata(data: bytes) -> Recording:
    """Read the metadata of a recording session.

    No document type is let in, so there are no entities to be resolved; size, depth and number of elements are bounded,
    and what is shown to people is made plain.

    Args:
        data: The XML, as it came.

    Raises:
        SiprecError: It is too large, no XML, of another kind, or contradicts itself.
    """
    root = _parse(data)
    if root.name != "recording":
        raise SiprecError(f"the metadata is a {root.name!r}, expected a 'recording'", _MEND)
    session = next(root.all("session"), None)
    session_id = "" if session is None else session.id_of("session_id")
    call = ("" if session is None else session.said("sipSessionID")).partition(";")[0].strip() or session_id
    if not call:
        raise SiprecError("the metadata names no session", _MEND)
    labels = {stream.id_of("stream_id"): stream.said("label") for stream in root.all("stream")}
    if len(set(labels.values())) < len(labels) or not all(labels.values()):
        raise SiprecError("the metadata has streams without a label of their own", _MEND)
    described = list(root.all("participant"))
    sent = _sent(root, described)
    participants = tuple(_participant(one, sent[number], labels) for number, one in enumerate(described))
    streams = tuple(
        RecordedStream(label, tuple(number for number, one in enumerate(participants) if label in one.labels))
        for label in map(plain, labels.values())
    )
    mode = root.said("datamode") or root.said("dataMode") or "complete"
    return Recording(plain(call, _MOST_CHARS), participants, streams, mode.casefold() == "complete")


def _sent(root: _Element, described: list[_Element]) -> list[list[str]]:
    """Ids of the streams that each participant sends to."""
    numbers = {one.id_of("participant_id"): number for number, one in enumerate(described)}
    if len(numbers) < len(described) or "" in numbers:
        raise SiprecError("the metadata has participants without an id of their own", _MEND)
    sent = [[child.text for child in one.all("send")] for one in described]
    for link in root.all("participantstreamassoc"):
        number = numbers.get(link.attributes.get("participant_id", ""))
        if number is not None:
            sent[number] += [child.text for child in link.all("send")]
    return sent


def _participant(described: _Element, sent: list[str], labels: dict[str, str]) -> Participant:
    known = next(described.all("nameID"), _Element("nameID", {}))
    address = known.attributes.get("aor", "").strip()
    if address and ":" not in address:
        address = f"sip:{address}"
    return Participant(
        plain(described.id_of("participant_id"), _MOST_CHARS),
        plain(address, _MOST_CHARS),
        plain(known.said("name"), _MOST_CHARS),
        tuple(dict.fromkeys(plain(labels[one]) for one in sent if one in labels)),
    )


def _parse(data: bytes) -> _Element:
    """Make a tree of XML without a document type."""
    if len(data) > MOST_BYTES:
        raise SiprecError(f"the metadata has {len(data)} bytes, more than {MOST_BYTES}", _MEND)
    top = _Element("", {})
    path, count = [top], 0

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if count > _MOST_ELEMENTS or len(path) > _MOST_DEPTH:
            raise SiprecError("the metadata has more elements, or deeper ones, than any call needs", _MEND)
        element = _Element(
            _local(name, is_root=len(path) == 1), {_local(key): value for key, value in attributes.items()}
        )
        path[-1].children.append(element)
        path.append(element)

    def end(name: str) -> None:
        element = path.pop()
        element.text = element.text.strip()

    def hear(text: str) -> None:
        path[-1].text += text

    def refuse(*_: object) -> None:
        raise SiprecError("the metadata declares a document type, which could make it mean anything", _MEND)

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler = hear
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise SiprecError(f"the metadata is no XML ({error})", _MEND) from None
    except (LookupError, UnicodeError, ValueError):
        raise SiprecError("the metadata is in an encoding that nobody knows", _MEND) from None
    return top.children[0]


def _local(name: str, is_root: bool = False) -> str:
    """Name without its namespace; of other namespaces than those of recordings with it, so that it is not mistaken."""
    namespace, _, local = name.rpartition(" ")
    is_known = not namespace or namespace.startswith(_NAMESPACES)
    if is_root and not is_known:
        return plain(name)
    return local if is_known else name
