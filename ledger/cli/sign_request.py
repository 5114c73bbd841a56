"""``grantledger sign-request``: the Authorization header of an OAuth 1.0a call, for curl (delivery protocol, section 3.1)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal, cast, get_args

import typer

from ledger.cli.session import AsJson, Db, Quiet, begin
from ledger.errors import SettingsError, UsageError

Method = Literal["GET", "POST", "PUT", "DELETE"]
METHODS: tuple[str, ...] = get_args(Method)

_APP = ("consumer_key", "consumer_secret")
_TOKEN = ("access_token", "access_token_secret")


def sign_request(
    ctx: typer.Context,
    method: Annotated[str, typer.Argument(metavar="METHOD", help="The call's method, such as POST.")],
    url: Annotated[str, typer.Argument(metavar="URL", help="Its whole URL with the query.")],
    app_file: Annotated[
        Path, typer.Option("--app", metavar="FILE", help="What `grantledger app create --json` printed.")
    ],
    account_file: Annotated[
        Path | None,
        typer.Option(
            "--account",
            metavar="FILE",
            help="What `grantledger account create --app ... --json` printed: sign for that account. "
            "[default: for the app's owner]",
        ),
    ] = None,
    db: Db = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Print the Authorization header of an OAuth 1.0a call, for curl.

    Parameters have to be in the URL's query; a JSON body is not signed. Each header works once, within five
    minutes. Secrets are read from files, so that none stands in a command line.

    \b
    Examples:
      grantledger sign-request GET http://127.0.0.1:8400/2/webhooks --app app.json
      URL=http://127.0.0.1:8400/1.1/account_activity/all/prod/subscriptions.json
      curl -X POST -H "$(grantledger sign-request POST $URL --app app.json --account account.json)" $URL

    \b
    Exit status:
      0  printed
      3  a file does not hold the credentials, or the method is none
    """
    from oauthlib.oauth1 import Client

    session = begin(ctx, db, as_json, quiet)
    key, secret = _members_of(app_file, _APP, "app create")
    if account_file is None:
        token, token_secret = _members_of(app_file, _TOKEN, "app create")
    else:
        token, token_secret = _members_of(account_file, _TOKEN, "account create --app ...")
    client = Client(key, client_secret=secret, resource_owner_key=token, resource_owner_secret=token_secret)
    if method.upper() not in METHODS:
        raise UsageError(f"{method!r} is no method of HTTP: write one of {', '.join(METHODS)}")
    _, headers, _ = client.sign(url, http_method=cast("Method", method.upper()))
    header = f"Authorization: {headers['Authorization']}"
    if session.output.as_json:
        session.output.result({"authorization": headers["Authorization"]}, [])
    else:
        session.output.text(header)


def _members_of(path: Path, names: tuple[str, str], command: str) -> tuple[str, str]:
    try:
        document = json.loads(path.read_text("utf-8"))
        first, second = (document[name] for name in names)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"{path} does not hold the {' and '.join(names)} that `grantledger {command} --json` prints"
        ) from error
    return first, second
