"""Which apps may receive an account's data, and allowing them less: the same for the account's page and for programs.

An app is on it while it receives something, and also while it holds an access token and receives nothing yet: with that
token it could begin at any moment, so that the account must see it and be able to take it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from api.consent import labels_of
from api.service import Service
from ledger.core.scopes import mask_of, scopes_of_mask
from ledger.gateway.revocation import names_of_app
from ledger.gateway.subscriptions import Access
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
    :meth:`~ledger.gateway.subscriptions.Subscriptions.narrow`.
    """
    found = [one for one in service.subscriptions.list_access(account) if one.grant == grant]
    granted = mask_of(scope for one in found for scope in one.scopes)
    gone = granted & ~mask_of(scopes)
    # Tokens first: dying in between leaves a grant that the account still sees whole, and can narrow again.
    if scopes and not mask_of(scopes) & ~granted:
        for token in service.credentials.load_access_tokens(account.tag, service.clock.now_ms()):
            left = mask_of(token.scopes) & ~gone
            if token.app != found[0].app or left == mask_of(token.scopes):
                continue
            if left:
                service.credentials.put_token(replace(token, scopes=scopes_of_mask(left)))
            else:
                service.credentials.take_token(token.token_hash, service.clock.now_ms())
    service.subscriptions.narrow(grant, account, scopes)


def list_apps(service: Service, account: Subject) -> list[AppAccess]:
    """The apps that receive data of ``account`` or hold an access token of it, by when that began."""
    accesses: dict[str, list[Access]] = {}
    for access in service.subscriptions.list_access(account):
        accesses.setdefault(access.app, []).append(access)
    begun_ms: dict[str, int] = {app: found[0].granted_at_ms for app, found in accesses.items()}
    offered: dict[str, list[str]] = {}
    for token in service.credentials.load_access_tokens(account.tag, service.clock.now_ms()):
        offered.setdefault(token.app, []).extend(token.scopes)
        begun_ms[token.app] = min(token.created_at_ms, begun_ms.get(token.app, token.created_at_ms))
    apps = []
    for app, since_ms in sorted(begun_ms.items(), key=lambda pair: (pair[1], pair[0])):
        app_name, developer_name = names_of_app(service.registry, app)
        may_receive = tuple(labels_of(offered.get(app, ())).values())
        apps.append(
            AppAccess(app, app_name, developer_name, since_ms, tuple(accesses.get(app, ())), may_receive)
        )
    return apps
