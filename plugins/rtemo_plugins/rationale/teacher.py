"""Teacher: has an endpoint of one's own rewrite rationales, and takes only what the trace check confirms."""

import json
import logging
import os
import urllib.error
import urllib.request
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from rtemo.api import Claim, ConfigError, Emit, Finding, Rationale, Window
from rtemo.api.text import plain
from rtemo.cues.trace import check, holds
from rtemo.cues.turn import Turn
from rtemo_plugins.rationale.options import RationaleOptions

_log = logging.getLogger("rtemo.rationale")
_MOST_BYTES = 1 << 16
_MOST_CHARS = 600
_NAMES = {"en": "English", "de": "German", "fr": "French", "es": "Spanish", "pl": "Polish"}
_TASK = (
    "You rewrite one or two sentences about how a speaker sounds. Write in {language}. Keep every fact, number, unit "
    "and quotation as it is, add nothing that is not there, name no other emotion. Answer with the sentences alone."
)


class Draft(NamedTuple):
    """What the template has written about a turn."""

    turn: Turn
    data: Rationale


class Rewritten(NamedTuple):
    """What the teacher has made of it, confirmed."""

    draft: Draft
    text: str
    claims: tuple[Claim, ...]


class Drafts:
    """Drafts by stream and end of turn, from the driver to the lane; of those nobody asks for the oldest go.

    Args:
        capacity: Most of them.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._drafts: OrderedDict[tuple[int, int], Draft] = OrderedDict()

    def put(self, stream: int, draft: Draft) -> None:
        """Keep a draft. Driver thread."""
        self._drafts[stream, draft.turn.end_sample] = draft
        while len(self._drafts) > self._capacity:
            self._drafts.popitem(last=False)

    def take(self, stream: int, end_sample: int) -> Draft | None:
        """Give a draft, once. Lane thread."""
        return self._drafts.pop((stream, end_sample), None)


class Teacher:
    """Speaks to an endpoint in the form of OpenAI's chat completions. The template's text is all that is sent.

    Args:
        options: Of the plugin.

    Raises:
        ConfigError: The address is none.
    """

    def __init__(self, options: RationaleOptions) -> None:
        parts = urlsplit(options.teacher_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                f"rationale: teacher_url {options.teacher_url!r} is no address of an endpoint",
                "write it as http://127.0.0.1:8080/v1, or leave it empty",
            )
        self._options = options
        self._url = options.teacher_url.rstrip("/") + "/chat/completions"
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects())
        self._is_down = False

    def rewrite(self, text: str) -> str | None:
        """Have a text rewritten; None when the endpoint gives none, which one line of the log tells the first time."""
        try:
            answer = self._ask(text)
        except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            if not self._is_down:
                reason = plain(str(error.reason if isinstance(error, urllib.error.URLError) else error))
                _log.warning("rationale: the teacher at %s gives no text (%s); the template's stays", self._url, reason)
            self._is_down = True
            return None
        self._is_down = False
        return plain(" ".join(answer.split()))

    def _ask(self, text: str) -> str:
        task = _TASK.format(language=_NAMES[self._options.language])
        body = {
            "model": self._options.teacher_model,
            "messages": [{"role": "system", "content": task}, {"role": "user", "content": text}],
            "temperature": 0.3,
            "max_tokens": 200,
        }
        headers = {"Content-Type": "application/json"}
        key = os.environ.get(self._options.teacher_key_variable) if self._options.teacher_key_variable else None
        if key:
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(self._url, json.dumps(body).encode(), headers)
        with self._opener.open(request, timeout=self._options.teacher_timeout_s) as response:
            found = json.loads(response.read(_MOST_BYTES))
        answer = found["choices"][0]["message"]["content"]
        if not 0 < len(answer.strip()) <= _MOST_CHARS:
            raise ValueError(f"an answer of {len(answer)} characters")
        return str(answer)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """What is configured is where things are sent, and nowhere else."""

    def redirect_request(self, *given: object) -> None:  # type: ignore[override]
        return None


class Rewriting:
    """The work of the lane.

    Args:
        options: Of the plugin.
        drafts: What is to be rewritten.
    """

    def __init__(self, options: RationaleOptions, drafts: Drafts) -> None:
        self._teacher = Teacher(options)
        self._language = options.language
        self._drafts = drafts

    def __call__(self, windows: Sequence[Window]) -> list[Rewritten | None]:
        """One confirmed text for each window, or None where the template's stays."""
        return [self._rewrite(self._drafts.take(w.stream.id, w.end_sample)) for w in windows]

    def _rewrite(self, draft: Draft | None) -> Rewritten | None:
        if draft is None:
            return None
        text = self._teacher.rewrite(draft.data.text)
        if text is None or text == draft.data.text:
            return None
        claims = check(text, draft.turn, self._language)
        told, kept = {(c.about, c.says) for c in claims}, {(c.about, c.says) for c in draft.data.claims}
        if not holds(claims) or not told <= kept:
            _log.info("rationale: what the teacher wrote is not confirmed; the template's stays")
            return None
        return Rewritten(draft, text, claims)


def tell(finding: Finding, emit: Emit) -> None:
    """Say what was rewritten, in place of what the template wrote."""
    made: Rewritten = finding.result
    data = made.draft.data
    turn = made.draft.turn
    rewritten = Rationale(
        label=data.label,
        text=made.text,
        language=data.language,
        verified_share=1.0,
        claims=made.claims,
        cues=data.cues,
        confidence=data.confidence,
        text_label=data.text_label,
        is_disagreeing=data.is_disagreeing,
        writer="teacher",
        trigger="rewritten",
        is_final=True,
    )
    emit(finding.stream, rewritten, turn.start_sample, turn.end_sample)
