"""The form that a page sends: small, one value a name unless several are meant, and from this very site."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from api.oauth_signature import FORM, Pairs, parse_form
from api.parameters import media_type_of
from api.problems import ProblemError
from ledger.errors import FormatError

FORM_BYTES_MAX = 16 << 10


@dataclass(frozen=True, slots=True)
class Form:
    """The pairs of a form, in its order."""

    pairs: Pairs

    def one(self, name: str) -> str:
        """The value of ``name``; empty where it is missing or there more than once."""
        values = self.all(name)
        return values[0] if len(values) == 1 else ""

    def all(self, name: str) -> list[str]:
        """Every value of ``name``."""
        return [value for one, value in self.pairs if one == name]


async def form_of(request: Request) -> Form:
    """A dependency: the form that ``request`` carries.

    Raises ProblemError (403) where the browser says that another site sent it: the proof in the form would fail, too, and
    this costs nothing. (415, 413) for what is no form, or too large for one of ours.
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise ProblemError("form-expired", "This form was sent from another site. Nothing was changed.")
    if media_type_of(request) != FORM:
        raise ProblemError("unsupported-media-type")
    body = await request.body()
    if len(body) > FORM_BYTES_MAX:
        raise ProblemError("too-large")
    try:
        return Form(parse_form(body.decode("ascii")))
    except UnicodeDecodeError:
        raise FormatError("a form holds ASCII only, and everything else percent-encoded") from None
