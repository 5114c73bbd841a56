"""What an e-mail address may look like: the one rule of whoever keeps one and whoever hands mail over (section 5.2).

ASCII, a dot-atom, one ``@`` and a host name (RFC 5321, section 4.1.2, without quoted names and literal addresses): so an
address can neither end a line nor be two, and what is kept can be sent to.
"""

from __future__ import annotations

import re

_match = re.compile(
    r"(?=.{3,254}\Z)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,64}(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,64})*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?",
    re.ASCII,
).fullmatch


def is_mail_address(text: str) -> bool:
    """Whether ``text`` is an address that mail can be handed over for."""
    return _match(text) is not None
