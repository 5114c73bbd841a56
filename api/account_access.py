"""Which apps may receive an account's data, and allowing them less: the same for the account's page and for programs.

An app is on it while it receives something, and also while it holds an access token and receives nothing yet: with that
token it could begin at any moment, so that the account must see it and be able to take it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from api.consent import labels_of
from api.service import Service
from ledger.core.granted import Granted
from ledger.core.scopes import mask_of, scopes_of_mask
from ledger.gateway.accesses import Access
from ledger.gateway.revocation import names_of_app
from ledger.ports import Subject


@dataclass(frozen=True, slots=True)
class AppAccess:
    """One app: what it receives (``accesses``, by age), and since when it may.

    ``may_receive`` are the labels of what its access tokens would let it begin to receive.
    """

    app: str
    app_name: str
    developer_name: str
    since_ms: int
    accesses: tuple[Access, ...]
    may_receive: tuple[str, ...]


def allow_less(service: Service, account: Subject, grant: str, scopes: Sequence[str]) -> None:
    """Leave ``grant`` of ``account`` no more than ``scopes``, and take what goes from the app's access tokens, too.

    Otherwise the app could end the subscription and make it anew with what its token still says. Raises as
    :meth:`~ledger.gateway.accesses.Accesses.narrow`.
    """
    found = [one for one in service.accesses.list_access(account) if one.grant == grant]
    granted = mask_of(scope for one in found for scope in one.scopes)
    # Tokens first: dying in between leaves a grant that the account still sees whole, and can narrow again.
    if scopes and not mask_of(scopes) & ~granted:
        _take_from_tokens(service, account.tag, found[0].app, granted & ~mask_of(scopes))
    service.accesses.narrow(grant, account, scopes)


def end_grant(service: Service, grant: str, *, account: str | None, actor: str, channel: str) -> Granted:
    """Revoke ``grant``, and take from the app's access tokens what only this grant covered; the grant as it is then, dead.

    Otherwise the app could begin anew. A grant that is dead already takes nothing from tokens, which may have been given
    since. Arguments and errors are those of :meth:`~ledger.gateway.accesses.Accesses.revoke_grant`.
    """
    found = service.accesses.find(grant)
    if found is not None and account in (None, found.account) and not found.is_dead:
        others = [one for one in service.accesses.list_granted(found.account) if one.grant != grant]
        kept = mask_of(scope for one in others if one.app == found.app for scope in one.scopes)
        # Tokens first, as above.
        _take_from_tokens(service, found.account, found.app, mask_of(found.scopes) & ~kept)
    return service.accesses.revoke_grant(grant, account=account, actor=actor, channel=channel)


def _take_from_tokens(service: Service, account: str, app: str, gone: int) -> None:
    """Take the scopes of the mask ``gone`` from what ``account`` (a tag) gave ``app``: access tokens, and those to be."""
    credentials = service.credentials
    are_done = False
    while not are_done:
        # Whatever changed a token meanwhile (another narrowing, the exchange of a request token) is looked at again.
        are_done = True
        for token in credentials.load_given_tokens(account, app, service.clock.now_ms()):
            left = mask_of(token.scopes) & ~gone
            if left == mask_of(token.scopes):
                continue
            if left:
                is_done = credentials.narrow_token(token, scopes_of_mask(left))
            else:
                is_done = credentials.take_token(token.token_hash, service.clock.now_ms()) is not None
            are_done = are_done and is_done


def list_apps(service: Service, account: Subject) -> list[AppAccess]:
    """The apps that receive data of ``account`` or hold an access token of it, by when that began."""
    accesses: dict[str, list[Access]] = {}
    for access in service.accesses.list_access(account):
        accesses.setdefault(access.app, []).append(access)
    begun_ms: dict[str, int] = {app: found[0].granted_at_ms for app, found in accesses.items()}
    offered: dict[str, list[str]] = {}
    for token in service.credentials.load_access_tokens(account.tag, service.clock.now_ms()):
        offered.setdefault(token.app, []).extend(token.scopes)
        begun_ms[token.app] = min(token.created_at_ms, begun_ms.get(token.app, token.created_at_ms))
    apps = []
    for app, since_ms in sorted(begun_ms.items(), key=lambda pair: (pair[1], pair[0])):
        shown = accesses.get(app)
        if shown:
            app_name, developer_name = shown[0].app_name, shown[0].developer_name
        else:
            app_name, developer_name = names_of_app(service.registry, app)
        may_receive = tuple(labels_of(offered.get(app, ())).values())
        apps.append(
            AppAccess(app, app_name, developer_name, since_ms, tuple(accesses.get(app, ())), may_receive)
        )
    return apps
