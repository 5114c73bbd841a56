"""Policy files: what they say, who fulfils them, and each way in which one is none."""

from __future__ import annotations

import pytest

from ledger.core.note import ED25519, ED25519_COSIGNATURE, format_vkey, make_verifier_key
from ledger.core.witness_policy import DEFINED_MAX, PolicyGroup, WitnessPolicy, parse_policy
from ledger.errors import FormatError


def log(number: int = 0) -> str:
    return format_vkey(make_verifier_key(f"log.example/{number}", ED25519, bytes([number] * 32)))


def key(number: int) -> str:
    return format_vkey(
        make_verifier_key(f"w.example/{number}", ED25519_COSIGNATURE, bytes([100 + number] * 32))
    )


THREE = "".join(f"witness {name} {key(place)} https://{name}.example\n" for place, name in enumerate("abc"))


def policy(text: str) -> WitnessPolicy:
    return parse_policy(text.encode())


def test_logs_witnesses_and_groups_are_read_as_they_stand() -> None:
    read = policy(f"log {log()} https://log.example\n{THREE}group g 2 a b c\nquorum g\n")
    assert [(one.key.name, one.url) for one in read.logs] == [("log.example/0", "https://log.example")]
    assert [(one.name, one.url) for one in read.witnesses] == [
        (name, f"https://{name}.example") for name in "abc"
    ]
    assert read.groups == (PolicyGroup("g", 2, ("a", "b", "c")),)
    assert read.quorum == "g"


def test_a_url_may_be_left_out() -> None:
    read = policy(f"log {log()}\nwitness a {key(0)}\nquorum a\n")
    assert (read.logs[0].url, read.witnesses[0].url) == (None, None)


def test_comments_blank_lines_spaces_and_tabs_say_nothing() -> None:
    plain = policy(f"witness a {key(0)}\nquorum a\n")
    spaced = policy(f"# who counts\n\n \t\n\t# more\n  witness \t a\t{key(0)} \nquorum   a\t\n\n")
    assert spaced == plain


@pytest.mark.parametrize(
    ("groups", "quorum", "cosigners", "is_fulfilled"),
    [
        ("", "a", "a", True),
        ("", "a", "bc", False),
        ("group g any a b c\n", "g", "c", True),
        ("group g any a b c\n", "g", "", False),
        ("group g all a b c\n", "g", "abc", True),
        ("group g all a b c\n", "g", "ab", False),
        ("group g 2 a b c\n", "g", "ac", True),
        ("group g 2 a b c\n", "g", "a", False),
        ("group g any a b\ngroup h all g c\n", "h", "bc", True),
        ("group g any a b\ngroup h all g c\n", "h", "ab", False),
        ("group g any a b\n", "c", "ab", False),
        ("", "none", "", True),
    ],
)
def test_a_quorum_is_made_up_of_those_who_cosigned(
    groups: str, quorum: str, cosigners: str, is_fulfilled: bool
) -> None:
    assert policy(f"{THREE}{groups}quorum {quorum}\n").is_fulfilled(set(cosigners)) is is_fulfilled


def test_nobody_but_a_witness_counts() -> None:
    read = policy(f"{THREE}group g any a b\nquorum g\n")
    assert not read.is_fulfilled({"g", "none", "d", "w.example/0"})


def test_a_witness_is_found_by_the_name_and_id_of_its_key() -> None:
    read = policy(f"{THREE}quorum a\n")
    second = read.witnesses[1]
    assert read.find(second.key.name, second.key.key_id) == second
    assert read.find(second.key.name, read.witnesses[0].key.key_id) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no quorum line"),
        (f"witness a {key(0)}\n", "no quorum line"),
        (f"witness a {key(0)}\nquorum a", "last line"),
        ("quorum a\n", "line 1: 'a' is no witness or group defined above"),
        (f"quorum a\nwitness a {key(0)}\n", "line 1: 'a' is no"),
        (f"witness a {key(0)}\nquorum a\nquorum a\n", "line 3: there is a quorum already"),
        (f"witness a {key(0)}\nquorum\n", "line 2: write: quorum NAME"),
        (f"witness a {key(0)}\nquorum a b\n", "line 2: write: quorum NAME"),
        ("witness a\nquorum none\n", "line 1: write: witness NAME VKEY"),
        (f"witness a {key(0)} u v\nquorum none\n", "line 1: write: witness NAME VKEY"),
        (f"log {log()} u v\nquorum none\n", "line 1: write: log VKEY"),
        ("log\nquorum none\n", "line 1: write: log VKEY"),
        ("group g any\nquorum none\n", "line 1: write: group NAME"),
        ("witnes a b\nquorum none\n", "line 1: 'witnes' is none of"),
        (f"witness none {key(0)}\nquorum none\n", "line 1: 'none' is taken"),
        (f"witness a {key(0)}\nwitness a {key(1)}\nquorum a\n", "line 2: 'a' is taken"),
        (f"witness a {key(0)}\nwitness b {key(0)}\nquorum a\n", "line 2: the key of 'w.example/0' is there"),
        (f"log {log()}\nlog {log()}\nquorum none\n", "line 2: the key of 'log.example/0' is there"),
        (f"{THREE}group a any b\nquorum a\n", "line 4: 'a' is taken"),
        (f"{THREE}group g any g\nquorum g\n", "line 4: 'g' is no witness or group defined above"),
        (f"{THREE}group g any h\ngroup h any g\nquorum g\n", "line 4: 'h' is no witness"),
        (f"{THREE}group g any a a\nquorum g\n", "line 4: 'a' is a member already"),
        (f"{THREE}group g any a\ngroup h any a\nquorum g\n", "line 5: 'a' is a member already"),
        (f"{THREE}group g any none\nquorum g\n", "line 4: 'none' is no witness"),
        (f"{THREE}group g 0 a b\nquorum g\n", "line 4: 0 of 2 members"),
        (f"{THREE}group g 3 a b\nquorum g\n", "line 4: 3 of 2 members"),
        (f"{THREE}group g 01 a b\nquorum g\n", "line 4: '01' is not a decimal"),
        (f"{THREE}group g +1 a b\nquorum g\n", "line 4: '\\+1' is not a decimal"),
        (f"{THREE}group g ALL a b\nquorum g\n", "line 4: 'ALL' is not a decimal"),
        (f"witness a {log()}\nquorum a\n", "line 1: .* is of type 0x01"),
        (f"log {key(0)}\nquorum none\n", "line 1: .* is of type 0x04"),
        (f"witness a {key(0)[:-1]}\nquorum a\n", "line 1: "),
        (f"witness a {key(0)}\r\nquorum a\n", "line 1: there is a control character"),
        (f"witness a {key(0)}\nquorum a\x00\n", "line 2: there is a control character"),
        (f"witness a\u00a0{key(0)}\nquorum a\n", "line 1: write: witness"),
    ],
)
def test_what_is_no_policy_is_refused_with_its_line(text: str, told: str) -> None:
    with pytest.raises(FormatError, match=told):
        policy(text)


def test_a_log_is_not_its_own_witness() -> None:
    own = format_vkey(make_verifier_key("w.example/own", ED25519_COSIGNATURE, bytes(32)))
    with pytest.raises(FormatError, match="is a witness's, too"):
        policy(f"log {log()}\nwitness a {own}\nquorum a\n")


def test_bytes_that_are_no_utf_8_or_too_many_are_refused() -> None:
    with pytest.raises(FormatError):
        parse_policy(b"# \xff\nquorum none\n")
    with pytest.raises(FormatError, match="more than"):
        parse_policy(b"#" * (1 << 16) + b"\nquorum none\n")


def test_there_is_a_limit_on_everything() -> None:
    many = "".join(f"witness w{number} {key(number)}\n" for number in range(DEFINED_MAX))
    assert len(policy(f"{many}quorum none\n").witnesses) == DEFINED_MAX
    with pytest.raises(FormatError, match=f"line {DEFINED_MAX + 1}: there are more than {DEFINED_MAX}"):
        policy(f"{many}witness more {key(DEFINED_MAX)}\nquorum none\n")
