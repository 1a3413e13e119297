"""SIPREC offers (RFC 7866): the body of the INVITE of a recording session, with its SDP and its metadata."""

import re
from typing import NamedTuple

from rtemo.api import ConfigError
from rtemo.api.text import plain
from rtemo.io.gateways.ports_wire import MOST_LEGS
from rtemo.io.gateways.rtp_wire import STATIC, Format, formats
from rtemo.io.siprec import MOST_BYTES, Participant, Recording, SiprecError, read_metadata

_MOST_PARTS, _MOST_LINES, _MOST_FORMATS, _MOST_CHARS = 16, 2_000, 32, 256
_BOUNDARY = re.compile(r'boundary\s*=\s*(?:"([^"]+)"|([^\s;]+))', re.IGNORECASE)
_MEDIA = re.compile(r"m=(\S+) (\d{1,5})(?:/\d+)? (\S+) (.+)", re.ASCII)
_NUMBER = re.compile(r"\d{1,3}", re.ASCII)
_RTPMAP = re.compile(r"a=rtpmap:(\d{1,3}) +(\S{1,32})", re.ASCII)
_PLAIN_RTP = ("RTP/AVP", "RTP/AVPF")
_MEND = "hand over the whole body of the INVITE, as RFC 7866 has it"


class OfferedStream(NamedTuple):
    """A line of audio of the SDP, and whose voice it carries.

    Attributes:
        media_line: Which m= line it is, counted from 0.
        label: Its label.
        formats: Payload types that are understood, as in the SDP, the preferred one first.
        participants: Whose voices it carries; several of a mixed stream, none when it is not said.
    """

    media_line: int
    label: str
    formats: dict[int, Format]
    participants: tuple[Participant, ...]

    @property
    def is_mixed(self) -> bool:
        """Whether it carries more than one voice."""
        return len(self.participants) > 1

    def role(self, roles: dict[str, str]) -> str:
        """Give the role of who speaks by label, else by the participant's address or name; none when it is not said.

        A mixed stream must not be taken for either's, so that only its label gives it one.
        """
        if self.label in roles:
            return roles[self.label]
        if self.is_mixed:
            return "mixed"
        known = [name for one in self.participants for name in (one.address, one.name) if name in roles]
        return roles[known[0]] if known else ""


class Offer(NamedTuple):
    """What a recording session begins with.

    Attributes:
        call: A name for it.
        streams: Those that audio comes from, in the order of the SDP.
    """

    call: str
    streams: tuple[OfferedStream, ...]


class _Media(NamedTuple):
    """An m= line; its port is 0 where none is wanted: of no audio, or of what was put to an end."""

    number: int
    port: int
    profile: str
    types: list[int]
    lines: list[str]

    def said(self, name: str) -> str:
        head = f"a={name}:"
        return next((line[len(head) :].strip() for line in self.lines if line.startswith(head)), "")


def read_offer(body: str, content_type: str = "") -> Offer:
    """Read the body of an INVITE.

    Args:
        body: As it came: parts with an SDP and the metadata; others are left aside.
        content_type: Of the whole, with its boundary; when empty the first line tells it.

    Raises:
        SiprecError: It is too large, lacks a part, or one of them cannot be read.
    """
    if len(body) > MOST_BYTES:
        raise SiprecError(f"the body has {len(body)} characters, more than {MOST_BYTES}", _MEND)
    sdp = metadata = None
    for kind, disposition, content in _parts(body, _boundary(body, content_type)):
        if kind == "application/sdp" and sdp is None:
            sdp = content
        elif metadata is None and (
            kind.startswith("application/rs-metadata") or disposition.startswith("recording-session")
        ):
            metadata = content
    if sdp is None:
        raise SiprecError("the body has no part application/sdp", _MEND)
    if metadata is None:
        raise SiprecError("the body has no part application/rs-metadata+xml", _MEND)
    recording = read_metadata(metadata.encode("utf-8", "replace"))
    streams = tuple(_stream(media, recording) for media in _media(sdp) if media.port)
    if not streams:
        raise SiprecError("the SDP has no m=audio that a port is wanted for", _MEND)
    if len(streams) > MOST_LEGS:
        raise SiprecError(f"the SDP has {len(streams)} lines of audio, more than {MOST_LEGS}", _MEND)
    if len({stream.label for stream in streams}) < len(streams):
        raise SiprecError("the SDP has lines of audio without a label of their own", _MEND)
    return Offer(recording.call, streams)


def _boundary(body: str, content_type: str) -> str:
    found = _BOUNDARY.search(content_type)
    if found is not None:
        return found[1] or found[2]
    first = body.lstrip()[:_MOST_CHARS].partition("\n")[0].strip()
    if not first.startswith("--") or len(first) < 3:
        raise SiprecError("the body does not begin with a boundary, so it is not multipart/mixed", _MEND)
    return first[2:]


def _parts(body: str, boundary: str) -> list[tuple[str, str, str]]:
    """Give type, disposition and content of each part; line ends may be of either kind."""
    parts: list[list[str]] = []
    for line in body.replace("\r\n", "\n").split("\n"):
        mark = line.rstrip()
        if mark == f"--{boundary}--":
            break
        if mark == f"--{boundary}":
            parts.append([])
        elif parts:
            parts[-1].append(line)
        if len(parts) > _MOST_PARTS:
            raise SiprecError(f"the body has more than {_MOST_PARTS} parts", _MEND)
    return [_part(lines) for lines in parts]


def _part(lines: list[str]) -> tuple[str, str, str]:
    blank = next((at for at, line in enumerate(lines) if not line.strip()), len(lines))
    headers: dict[str, str] = {}
    for line in lines[:blank]:
        name, _, value = line.partition(":")
        headers[name.strip().casefold()] = value.strip().casefold()
    kind = headers.get("content-type", "").partition(";")[0].strip()
    return kind, headers.get("content-disposition", ""), "\n".join(lines[blank:]).strip()


def _media(sdp: str) -> list[_Media]:
    """Give each m= line with what stands below it."""
    lines = [line.strip() for line in sdp.splitlines()]
    if len(lines) > _MOST_LINES:
        raise SiprecError(f"the SDP has more than {_MOST_LINES} lines", _MEND)
    found: list[_Media] = []
    for line in lines:
        if not line.startswith("m="):
            if found:
                found[-1].lines.append(line)
            continue
        match = _MEDIA.fullmatch(line)
        if match is None:
            raise SiprecError(f"the SDP has the line {plain(line, 80)!r}, expected m=audio PORT RTP/AVP TYPES", _MEND)
        kind, port, profile, types = match.groups()
        numbers = [int(word) for word in types.split()[:_MOST_FORMATS] if _NUMBER.fullmatch(word)]
        found.append(_Media(len(found), int(port) if kind == "audio" else 0, profile, numbers, []))
    return found


def _stream(media: _Media, recording: Recording) -> OfferedStream:
    label = plain(media.said("label"), _MOST_CHARS)
    if not label:
        raise SiprecError(f"m= line {media.number} of the SDP has no a=label", _MEND)
    if media.profile not in _PLAIN_RTP:
        raise SiprecError(
            f"label {label!r} is offered as {plain(media.profile, 40)}",
            "offer RTP/AVP: there is no SRTP here",
        )
    named = {match[1]: match[2] for line in media.lines if (match := _RTPMAP.match(line))}
    known = {number: format for number in media.types if (format := _format(number, named.get(str(number), "")))}
    if all(format.codec is None for format in known.values()):
        offered = ", ".join(plain(named.get(str(number), str(number)), 40) for number in media.types[:8])
        raise SiprecError(
            f"label {label!r} is offered as {offered or 'nothing'}", "offer PCMU, PCMA, L16 or opus among others"
        )
    speakers = tuple(one for one in recording.participants if label in one.labels)
    return OfferedStream(media.number, label, known, speakers)


def _format(number: int, name: str) -> Format | None:
    """Give what a payload type stands for; None when that is not understood."""
    try:
        return formats([f"{number} {name.removesuffix('/1')}"], "the SDP")[number] if name else STATIC.get(number)
    except ConfigError:
        return None
