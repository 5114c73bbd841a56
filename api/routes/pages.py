"""Pages for people: consenting to what an app asks, and what was allowed so far (delivery protocol, section 3.1).

The consent page is where a grant begins: it says who asks and for what in words (:mod:`api.consent`), and writes the answer
into the request token. The redirect afterwards goes to the callback that the app has registered and to nowhere else. A form
counts only with the proof that its own page gave to the same session, over the same token and the same text: if a name
changed while the person was reading, the page is shown again instead.

Addresses in pages and redirects are relative, so that they hold behind a proxy that adds a path.
"""

from __future__ import annotations

from collections import deque
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from api.account_access import allow_less, list_apps
from api.consent import ConsentText, chosen_scopes, consent_text, labels_of
from api.deps import authenticator_of, oauth_server_of, service_of, sessions_of
from api.forms import Form, form_of
from api.oauth_server import Asked, Consent, NotAsked
from api.pages import render_page
from api.problems import ProblemError
from api.sessions import Session, is_proven
from ledger.core.ticket import TICKET_HEADER
from ledger.gateway.grant_tickets import REVOKED, GrantTicket
from ledger.ports import Subject
from ledger.ports.registry import Developer, Notice

router = APIRouter(tags=["pages"], include_in_schema=False)

ACCOUNT_ROLES = ("person", "business")
TICKETS_SHOWN = 20
NOTICES_SHOWN = 50
_NOTICES_AT_ONCE = 1_000

_SIGN_IN = "sign-in"
_SIGN_OUT = "sign-out"

_NOT_ASKED: dict[NotAsked, str] = {
    "unknown": "This link belongs to no app that asks for anything here. Nothing was changed.",
    "expired": "This link has expired. Go back to the app and begin again. Nothing was changed.",
    "used": "This link was used already. If that was not you, look at your account's page.",
}


@router.get("/oauth/authorize")
@router.get("/oauth/authenticate")
def show_consent(request: Request, oauth_token: str = "") -> Response:
    """The consent page for a request token, or the way to sign in first."""
    asked = _load_asked(request, oauth_token)
    session = sessions_of(request).find(request)
    if session is None:
        return _sign_in_page(request, oauth_token, asked, root="../")
    return _consent_page(request, session, asked, oauth_token)


@router.post("/oauth/authorize")
@router.post("/oauth/authenticate")
def answer_consent(request: Request, form: Annotated[Form, Depends(form_of)]) -> Response:
    """The account's answer: nothing ticked is the same as Cancel."""
    oauth_token = form.one("oauth_token")
    asked = _load_asked(request, oauth_token)
    session = _session_of(request)
    text = consent_text(_developer_of(request, asked), asked.app)
    if not is_proven(session.form_proof(_purpose(oauth_token, text)), form.one("proof")):
        raise _form_expired()
    scopes = chosen_scopes(form.all("scope")) if form.one("decision") == "allow" else ()
    server = oauth_server_of(request)
    if not scopes:
        return _after_consent(request, asked, server.refuse(asked, oauth_token))
    consent = server.allow(asked, oauth_token, session.account, scopes, text.digest())
    if consent is None:
        raise ProblemError("forbidden", _NOT_ASKED["used"])
    return _after_consent(request, asked, consent)


@router.get("/session/{link}")
def follow_link(request: Request, link: str, oauth_token: str = "") -> Response:
    """A session for a one-time link of the platform, and on to the consent or account page."""
    if "prefetch" in request.headers.get("sec-purpose", ""):
        # A browser that looks ahead would use the link up before the person has followed it.
        return Response(status_code=204)
    sessions = sessions_of(request)
    before = sessions.find(request)
    session = sessions.follow_link(link)
    if session is None:
        raise ProblemError(
            "forbidden", "This link was used already, or is older than five minutes. Ask for a new one."
        )
    if before is not None:
        sessions.end(before)
    response = RedirectResponse(f"../{_next(oauth_token)}", 303)
    sessions.put_cookie(response, session)
    return response


@router.post("/sign-in")
def sign_in(request: Request, form: Annotated[Form, Depends(form_of)]) -> Response:
    """A session for a person's own API key."""
    sessions = sessions_of(request)
    oauth_token = form.one("oauth_token")
    if not is_proven(sessions.visit_proof(request, _sign_in_purpose(oauth_token)), form.one("proof")):
        raise _form_expired()
    try:
        key = authenticator_of(request).key(form.one("api_key").strip())
    except ProblemError:
        key = None
    if (
        key is None
        or key.role not in ACCOUNT_ROLES
        or authenticator_of(request).subject_of(key.subject) is None
    ):
        asked = oauth_server_of(request).load_asked(oauth_token)
        return _sign_in_page(
            request, oauth_token, asked if isinstance(asked, Asked) else None, root="", is_wrong=True
        )
    response = RedirectResponse(_next(oauth_token), 303)
    sessions.put_cookie(response, sessions.begin(key.subject))
    return response


@router.post("/sign-out")
def sign_out(request: Request, form: Annotated[Form, Depends(form_of)]) -> Response:
    """The end of the session."""
    session = _session_of(request)
    if not is_proven(session.form_proof(_SIGN_OUT), form.one("proof")):
        raise _form_expired()
    sessions_of(request).end(session)
    response = _message(request, "Signed out", "This browser no longer knows who you are.")
    sessions_of(request).drop_cookie(response)
    return response


@router.get("/account")
def show_account(request: Request) -> Response:
    """What the account has allowed to whom, and what it was told."""
    session = sessions_of(request).find(request)
    if session is None:
        return _sign_in_page(request, "", None, root="")
    return _account_page(request, session)


@router.get("/account/tickets/{seq}")
def download_ticket(request: Request, seq: int) -> Response:
    """The ticket of one entry about the account's own grants, as a file to keep."""
    session = sessions_of(request).find(request)
    if session is None:
        return _sign_in_page(request, "", None, root="../../")
    own = service_of(request).grant_tickets.of_account(_subject_of(request, session).tag)
    found = next((one for one in own if one.seq == seq), None)
    if found is None:
        raise ProblemError("not-found", "No entry about what this account has allowed stands there.")
    headers = {
        "content-disposition": f'attachment; filename="entry-{seq}.ticket"',
        "cache-control": "no-store",
    }
    return PlainTextResponse(f"{TICKET_HEADER}: {found.ticket}\n", headers=headers)


@router.post("/account/apps/{app}/revoke")
def revoke_app(request: Request, app: str, form: Annotated[Form, Depends(form_of)]) -> Response:
    """Take back everything that the account allowed the app; done when the page is there."""
    session = _session_of(request)
    if not is_proven(session.form_proof(f"revoke/{app}"), form.one("proof")):
        raise _form_expired()
    subject = _subject_of(request, session)
    service_of(request).accesses.revoke_app(subject, app, channel="account_page")
    # The page is asked for anew, so that reloading it repeats nothing.
    return RedirectResponse(f"../../../account?{urlencode({'ended': app})}", 303)


@router.post("/account/grants/{grant}/narrow")
def narrow_grant(request: Request, grant: str, form: Annotated[Form, Depends(form_of)]) -> Response:
    """Leave a grant no more than what is ticked; to leave nothing of it is to end it, which has a button of its own."""
    session = _session_of(request)
    if not is_proven(session.form_proof(f"narrow/{grant}"), form.one("proof")):
        raise _form_expired()
    subject = _subject_of(request, session)
    allow_less(service_of(request), subject, grant, chosen_scopes(form.all("scope")))
    return RedirectResponse("../../../account", 303)


def _load_asked(request: Request, oauth_token: str) -> Asked:
    asked = oauth_server_of(request).load_asked(oauth_token)
    if isinstance(asked, Asked):
        return asked
    raise ProblemError("forbidden" if asked != "unknown" else "not-found", _NOT_ASKED[asked])


def _session_of(request: Request) -> Session:
    session = sessions_of(request).find(request)
    if session is None:
        raise _form_expired()
    return session


def _subject_of(request: Request, session: Session) -> Subject:
    subject = authenticator_of(request).subject_of(session.account)
    if subject is None:
        raise ProblemError("forbidden", "This account is not known here any more.")
    return subject


def _form_expired() -> ProblemError:
    return ProblemError(
        "form-expired",
        "This form is not of your present session, or too old. Nothing was changed. Go back and load the page anew.",
    )


def _purpose(oauth_token: str, text: ConsentText) -> str:
    return f"consent/{oauth_token}/{text.digest().hex()}"


def _sign_in_purpose(oauth_token: str) -> str:
    return f"{_SIGN_IN}/{oauth_token}"


def _next(oauth_token: str) -> str:
    """Where a new session goes: to the consent page that it came for, or to its account's page."""
    return f"oauth/authorize?{urlencode({'oauth_token': oauth_token})}" if oauth_token else "account"


def _developer_of(request: Request, asked: Asked) -> Developer:
    developer = service_of(request).registry.load_developer(asked.app.developer)
    # An app whose developer has no name here (imported) is told of by the developer's id.
    return developer or Developer(asked.app.developer, asked.app.developer, 0)


def _consent_page(request: Request, session: Session, asked: Asked, oauth_token: str) -> Response:
    text = consent_text(_developer_of(request, asked), asked.app)
    context = {
        "origin": service_of(request).ledger.origin,
        "text": text,
        "oauth_token": oauth_token,
        "proof": session.form_proof(_purpose(oauth_token, text)),
        "account_id": authenticator_of(request).account_id_of(session.account),
        "sign_out_proof": session.form_proof(_SIGN_OUT),
    }
    return render_page("consent.html", context, forms_lead_to=asked.token.callback)


def _after_consent(request: Request, asked: Asked, consent: Consent) -> Response:
    if consent.redirect_to is not None:
        return RedirectResponse(consent.redirect_to, 303)
    if consent.pin is None:
        return _message(
            request, "Nothing was allowed", f"{asked.app.name} receives nothing. You may close this page."
        )
    context = {
        "origin": service_of(request).ledger.origin,
        "app_name": asked.app.name,
        "pin": consent.pin,
    }
    return render_page("pin.html", context)


def _sign_in_page(
    request: Request, oauth_token: str, asked: Asked | None, *, root: str, is_wrong: bool = False
) -> Response:
    sessions = sessions_of(request)
    purpose = _sign_in_purpose(oauth_token)
    cookie_of = Response()
    proof = sessions.visit_proof(request, purpose) or sessions.put_visit(cookie_of, purpose)
    context = {
        "origin": service_of(request).ledger.origin,
        "app_name": None if asked is None else asked.app.name,
        "is_wrong": is_wrong,
        "root": root,
        "oauth_token": oauth_token,
        "proof": proof,
    }
    page = render_page("sign_in.html", context, status=403 if is_wrong else 200)
    page.raw_headers += [pair for pair in cookie_of.raw_headers if pair[0] == b"set-cookie"]
    return page


def _account_page(request: Request, session: Session) -> Response:
    service = service_of(request)
    apps = list_apps(service, _subject_of(request, session))
    ended = request.query_params.get("ended")
    context = {
        "origin": service.ledger.origin,
        "account_id": authenticator_of(request).account_id_of(session.account),
        "apps": apps,
        # Whoever links here with a name in the address makes the page say nothing that is not so.
        "has_ended": ended is not None and ended not in [app.app for app in apps],
        "tickets": _tickets_of_end(request, session, ended),
        "notices": _last_notices(request, session.account),
        "labels_of": labels_of,
        "proof_for": session.form_proof,
    }
    return render_page("account.html", context)


def _tickets_of_end(request: Request, session: Session, app: str | None) -> list[GrantTicket]:
    """The tickets of what the account has revoked of ``app``, the newest first."""
    if app is None:
        return []
    own = service_of(request).grant_tickets.of_account(_subject_of(request, session).tag, app)
    return [one for one in reversed(own) if one.verb == REVOKED][:TICKETS_SHOWN]


def _last_notices(request: Request, account: str) -> list[Notice]:
    """The last notices of an account, the newest first."""
    last: deque[Notice] = deque(maxlen=NOTICES_SHOWN)
    after = 0
    while page := service_of(request).registry.load_notices(account, after, _NOTICES_AT_ONCE):
        last.extend(page)
        after = page[-1].number
    return list(reversed(last))


def _message(request: Request, title: str, said: str) -> Response:
    context = {"origin": service_of(request).ledger.origin, "title": title, "said": said}
    return render_page("message.html", context)
