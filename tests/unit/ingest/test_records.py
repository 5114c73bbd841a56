"""One record: every kind is read, and every malformed class is refused with a reason that says what is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import RejectedError
from ledger.ingest.records import Record, RecordReader
from ledger.ingest.schema import LOOKED_UP, PLATFORM_KINDS
from tests.support.record_samples import AT, AT_MS, DELIVERY, GRANT, SAMPLES

DEVELOPER = {"kind": "developer.registered", "developer": "dev-a", "at": AT}
ENDPOINT = next(sample for sample in SAMPLES if sample["kind"] == "endpoint.registered")
BY_KIND = {sample["kind"]: sample for sample in SAMPLES}
TAG = "a_" + "0" * 32


def read(record: dict[str, Any] | bytes, *, at_required: bool = True) -> Record:
    """As a line of JSON; a record given as members must read the same as a row."""
    reader = RecordReader(at_required=at_required)
    if isinstance(record, bytes):
        return reader.read(record)
    from_row = reader.read(json.loads(json.dumps(record)))
    from_line = reader.read(json.dumps(record).encode())
    assert from_row == from_line
    return from_line


def refusal(record: dict[str, Any] | bytes) -> str:
    """Why it is refused, as a line and (given as members) as a row alike."""
    with pytest.raises(RejectedError) as of_line:
        RecordReader(at_required=True).read(
            record if isinstance(record, bytes) else json.dumps(record).encode()
        )
    if isinstance(record, dict):
        with pytest.raises(RejectedError):
            RecordReader(at_required=True).read(record)
    return of_line.value.reason


def without(record: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in names}


def test_there_is_a_sample_of_every_kind_that_a_record_may_have() -> None:
    assert set(BY_KIND) == set(PLATFORM_KINDS)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["kind"])
def test_a_record_of_every_kind_is_read(sample: dict[str, Any]) -> None:
    assert read(sample).kind == sample["kind"]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["kind"])
def test_no_kind_takes_a_member_that_it_does_not_list(sample: dict[str, Any]) -> None:
    assert "'surplus'" in refusal(sample | {"surplus": "x"})


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in LOOKED_UP.items() for name in sorted(names)]
)
def test_what_the_ledger_looks_up_is_not_stated(kind: str, name: str) -> None:
    assert "looked up" in refusal(BY_KIND[kind] | {name: "dev-a"})


@pytest.mark.parametrize("name", ["seq", "prev", "v", "recorded_at", "via", "actor", "identity", "payload"])
def test_what_the_ledger_adds_is_not_stated(name: str) -> None:
    assert name in refusal(BY_KIND["account.registered"] | {name: "x"})


@pytest.mark.parametrize(
    "kind",
    [
        "ledger.opened",
        "index.sealed",
        "key.rotated",
        "subject.erased",
        "delivery.attempted",
        "delivery.settled",
        "delivery.refused",
    ],
)
def test_kinds_of_the_ledger_itself_are_refused(kind: str) -> None:
    assert "ledger's own" in refusal({"kind": kind, "at": AT})


@pytest.mark.parametrize("kind", ["grant.exploded", "", "Grant.issued", "delivery", "finding.lost"])
def test_an_unknown_kind_is_refused(kind: str) -> None:
    assert "unknown" in refusal({"kind": kind, "at": AT})


def test_a_record_without_a_kind_is_refused() -> None:
    assert "no kind" in refusal({"developer": "dev-a", "at": AT})


@pytest.mark.parametrize("kind", [1, ["grant.issued"], True])
def test_a_kind_that_is_no_text_is_refused(kind: object) -> None:
    assert "kind" in refusal({"kind": kind, "at": AT})


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("developer.registered", "developer"),
        ("app.registered", "developer"),
        ("endpoint.registered", "url"),
        ("endpoint.registered", "environment"),
        ("endpoint.transferred", "app"),
        ("grant.issued", "account"),
        ("grant.issued", "scopes"),
        ("grant.issued", "app"),
        ("grant.issued", "environment"),
        ("grant.issued", "developer"),
        ("grant.amended", "grant"),
        ("processor.declared", "processor"),
        ("subscription.created", "grant"),
        ("subscription.created", "endpoint"),
        ("delivery.imported", "delivery"),
        ("delivery.imported", "account"),
        ("delivery.imported", "event"),
        ("delivery.imported", "endpoint"),
        ("delivery.imported", "attempt"),
        ("delivery.imported", "subjects"),
        ("delivery.imported", "started_at"),
    ],
)
def test_a_required_member_is_missed_by_its_name(kind: str, name: str) -> None:
    assert name in refusal(without(BY_KIND[kind], name))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample["kind"])
def test_a_file_says_when_each_thing_took_effect(sample: dict[str, Any]) -> None:
    if sample is not DELIVERY:
        assert "at" in refusal(without(sample, "at"))


def test_the_api_may_leave_the_time_to_the_ledger() -> None:
    assert "at" not in read(without(DEVELOPER, "at"), at_required=False).members


@pytest.mark.parametrize(
    ("record", "member"),
    [
        (DEVELOPER | {"developer": 7}, "developer"),
        (DEVELOPER | {"developer": None}, "developer"),
        (DEVELOPER | {"at": None}, "at"),
        (DEVELOPER | {"at": True}, "at"),
        (DELIVERY | {"private": "true"}, "private"),
        (DELIVERY | {"private": 1}, "private"),
        (DELIVERY | {"attempt": "1"}, "attempt"),
        (DELIVERY | {"attempt": True}, "attempt"),
        (DELIVERY | {"attempt": 0}, "attempt"),
        (DELIVERY | {"attempt": -1}, "attempt"),
        (DELIVERY | {"attempt": 2**53}, "attempt"),
        (DELIVERY | {"status": 99}, "status"),
        (DELIVERY | {"status": 600}, "status"),
        (DELIVERY | {"status": "200"}, "status"),
        (DELIVERY | {"channel": "carrier pigeon"}, "channel"),
        (DELIVERY | {"disclosure": "maybe"}, "disclosure"),
        (DELIVERY | {"subjects": "5550001"}, "subjects"),
        (DELIVERY | {"subjects": [5550001]}, "subjects"),
        (DELIVERY | {"subjects": None}, "subjects"),
        (DELIVERY | {"observed": []}, "observed"),
        (DELIVERY | {"observed": {"host": 1}}, "host"),
        (DELIVERY | {"observed": {"port": 0}}, "port"),
        (DELIVERY | {"observed": {"port": 65_536}}, "port"),
        (DELIVERY | {"observed": {"spki_sha256": "AB" * 32}}, "spki_sha256"),
        (DELIVERY | {"observed": {"signing_app": "an app"}}, "signing_app"),
        (GRANT | {"scopes": []}, "scopes"),
        (GRANT | {"scopes": {}}, "scopes"),
        (GRANT | {"evidence": "oauth"}, "evidence"),
        (GRANT | {"evidence": {}}, "method"),
        (GRANT | {"evidence": {"method": "oauth1a", "consent_text": "the text"}}, "consent_text"),
        (BY_KIND["endpoint.verified"] | {"latency_ms": -1}, "latency_ms"),
    ],
)
def test_a_member_of_another_type_or_range_is_refused_by_its_name(
    record: dict[str, Any], member: str
) -> None:
    assert member in refusal(record)


@pytest.mark.parametrize(
    "number", ["1.0", "1.5", "1e0", "NaN", "Infinity", "-Infinity", "1E400", "9" * 5_000]
)
def test_a_number_that_is_no_integer_in_range_is_refused(number: str) -> None:
    line = json.dumps(DELIVERY).replace('"attempt": 1', f'"attempt": {number}')
    assert refusal(line.encode())


def test_a_persons_id_that_is_written_as_a_float_is_not_repeated() -> None:
    line = json.dumps(DELIVERY).replace('"783214"', "783214.0")
    assert "783214" not in refusal(line.encode())


@pytest.mark.parametrize(
    "value", ["", "dev a", "d" * 65, "dev/a", "d\u00e9v", "dev-a\n", 'dev"a', "dev\\a", "\u0660"]
)
def test_an_id_is_of_the_characters_of_ids(value: str) -> None:
    assert "developer" in refusal(DEVELOPER | {"developer": value})


@pytest.mark.parametrize("member", ["account", "subjects"])
def test_a_persons_bad_id_is_refused_without_being_repeated(member: str) -> None:
    value: Any = "jane@example" if member == "account" else ["jane@example"]
    reason = refusal(DELIVERY | {member: value})
    assert member in reason
    assert "jane" not in reason


@pytest.mark.parametrize("member", ["account", "subjects"])
def test_a_tag_is_no_platform_id(member: str) -> None:
    assert "tag" in refusal(DELIVERY | {member: TAG if member == "account" else [TAG]})


def test_a_tag_that_passed_as_another_members_id_is_still_no_person() -> None:
    reader = RecordReader(at_required=True)
    reader.read(json.dumps(DEVELOPER | {"developer": TAG}).encode())
    with pytest.raises(RejectedError, match="tag"):
        reader.read(json.dumps(DELIVERY | {"account": TAG}).encode())


@pytest.mark.parametrize(
    "text", ["a\u0308.example", "b\x7f.example", "a\texample", 'a"b', "a\\b", "\U0001f426"]
)
def test_text_is_printable_ascii_without_quotes_and_backslashes(text: str) -> None:
    assert "host" in refusal(DELIVERY | {"observed": {"host": text}})


def test_escapes_of_allowed_characters_are_resolved() -> None:
    line = json.dumps(ENDPOINT).replace("/", "\\/").replace("wh-1", "\\u0077h-1").encode()
    assert read(line) == read(ENDPOINT)


def test_a_signed_request_may_hold_quotes_because_it_is_only_committed_to() -> None:
    evidence = {"method": "oauth1a", "request": 'OAuth realm="x", sig="\\"'}
    assert read(GRANT | {"evidence": evidence}).members["evidence"] == evidence


@pytest.mark.parametrize(
    "line",
    [
        b'{"kind":"developer.registered","developer":"dev-a","developer":"dev-b","at":1}',
        b'{"kind":"developer.registered","developer":"dev-a","at":1,"at":1}',
        b'{"kind":"developer.registered","kind":"developer.registered","developer":"dev-a","at":1}',
        b'{"kind" : "developer.registered","developer":"dev-a","developer" : "dev-b","at":1}',
        b'{"kind":"developer.registered","developer":"dev-a","at":1,"\\u0061t":2}',
    ],
)
def test_a_member_that_is_there_twice_is_refused(line: bytes) -> None:
    assert "twice" in refusal(line)


def test_a_nested_member_that_is_there_twice_is_refused() -> None:
    line = json.dumps(DELIVERY).replace('"host": "b.example"', '"host": "a.example", "host": "b.example"')
    assert "twice" in refusal(line.encode())


@pytest.mark.parametrize("value", [":x", "a:b", "::", "{", "[1,2]", "x,y", ""])
def test_values_that_look_like_syntax_are_taken(value: str) -> None:
    assert read(DELIVERY | {"ticket": value}).members["ticket"] == value


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"\xef\xbb\xbf" + json.dumps(DEVELOPER).encode(), "byte order mark"),
        (json.dumps(DEVELOPER).encode()[:-7], "not JSON"),
        (json.dumps(DEVELOPER).encode() + b"{}", "not JSON"),
        (json.dumps(DEVELOPER).encode().replace(b"dev-a", b"dev-\xff"), "not UTF-8"),
        (json.dumps(DEVELOPER).encode().replace(b"dev-a", b"dev-\x01"), "not JSON"),
        (json.dumps(DEVELOPER).encode("utf-16"), "not UTF-8"),
        (b"[]", "not a JSON object"),
        (b'"developer.registered"', "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"{'kind':'developer.registered'}", "not JSON"),
        (b"[" * 200_000, "nested too deep"),
        (b'{"a":' * 50_000, "nested too deep"),
        (b"\x00", "not JSON"),
    ],
)
def test_a_line_that_is_no_json_object_says_so(line: bytes, reason: str) -> None:
    assert reason in refusal(line)


@pytest.mark.parametrize(
    "text", ["2017-05-01", "2017-05-01T00:00:60Z", "2017-05-01T00:00:00+02:00", "yesterday", ""]
)
def test_an_instant_in_another_form_is_refused_by_its_member(text: str) -> None:
    assert "expires_at" in refusal(GRANT | {"expires_at": text})


@pytest.mark.parametrize("at", [AT, "2017-05-01T00:00:00.0009Z", AT_MS])
def test_instants_become_milliseconds(at: object) -> None:
    assert read(DEVELOPER | {"at": at}).members["at"] == AT_MS


def test_lists_become_sorted_sets() -> None:
    record = read(DELIVERY | {"subjects": ["7", "5", "7"]})
    assert record.members["subjects"] == ["5", "7"]
    assert read(GRANT | {"scopes": ["posts", "likes", "posts"]}).members["scopes"] == ["likes", "posts"]


def test_the_people_of_a_record_are_its_account_and_its_subjects() -> None:
    assert read(DELIVERY).people == ("783214", "5550001")
    assert read(GRANT).people == ("783214",)
    assert read(DEVELOPER).people == ()


def test_a_delivery_takes_effect_when_it_started() -> None:
    assert read(DELIVERY).members["at"] == read(DELIVERY).members["started_at"]
    assert read(DELIVERY | {"at": DELIVERY["started_at"]}) == read(DELIVERY)
    assert "started_at" in refusal(DELIVERY | {"at": AT})


@pytest.mark.parametrize(
    ("stated", "disclosure"),
    [
        ({"status": 200}, "confirmed"),
        ({"status": 503}, "confirmed"),
        ({}, "possible"),
        ({"disclosure": "none"}, "none"),
        ({"disclosure": "possible", "status": 200}, "possible"),
        ({"disclosure": "confirmed"}, "confirmed"),
    ],
)
def test_a_disclosure_that_is_left_out_follows_from_the_status(
    stated: dict[str, Any], disclosure: str
) -> None:
    assert read(without(DELIVERY, "status", "disclosure") | stated).members["disclosure"] == disclosure


def test_a_delivery_with_a_status_disclosed_something() -> None:
    assert "none" in refusal(DELIVERY | {"disclosure": "none", "status": 200})


def test_a_delivery_is_a_push_and_not_private_unless_stated() -> None:
    members = read(without(DELIVERY, "private", "channel")).members
    assert (members["channel"], members["private"]) == ("push", False)


def test_an_observed_worker_is_the_deliverys() -> None:
    record = read(without(DELIVERY, "worker") | {"observed": DELIVERY["observed"] | {"worker": "w9"}})
    assert record.members["worker"] == "w9"
    assert record.members["observed"] == DELIVERY["observed"]


def test_two_workers_that_differ_are_refused() -> None:
    assert "worker" in refusal(DELIVERY | {"observed": {"worker": "w9"}})


@pytest.mark.parametrize("observed", [{}, {"worker": "w3"}])
def test_an_observation_of_nothing_is_no_observation(observed: dict[str, Any]) -> None:
    assert "observed" not in read(DELIVERY | {"observed": observed}).members


def test_a_stated_uid_is_kept() -> None:
    assert read(DEVELOPER | {"uid": "mine/1"}).members["uid"] == "mine/1"


@pytest.mark.parametrize("uid", ["", "with space", "x" * 321, "\u00e9"])
def test_a_uid_of_other_characters_is_refused(uid: str) -> None:
    assert "uid" in refusal(DEVELOPER | {"uid": uid})


@pytest.mark.parametrize(
    "uid", ["delivery.imported/783214/1", "783214", "x:5550001", "evt-783214.1", "5550001_9"]
)
def test_a_uid_never_holds_the_id_of_a_person(uid: str) -> None:
    reason = refusal(DELIVERY | {"uid": uid})
    assert "person" in reason
    assert "783214" not in reason


def test_a_longer_number_that_begins_with_an_id_is_not_that_id() -> None:
    assert read(DELIVERY | {"uid": "x-7832141"}).members["uid"] == "x-7832141"


@pytest.mark.parametrize("uid", ["delivery.attempted/d-9/1", "ledger.opened/x", "grant.issued/g-1/00"])
def test_a_uid_does_not_take_the_place_of_another_kinds_entry(uid: str) -> None:
    assert "another kind" in refusal(DEVELOPER | {"uid": uid})


SHORT_TEXT = st.text(st.sampled_from('ab:",{}[]\\ \u00e9\n'), max_size=6)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | SHORT_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SHORT_TEXT, inner, max_size=3),
    max_leaves=6,
)


@given(
    st.sampled_from(SAMPLES),
    st.dictionaries(st.sampled_from([*sorted(DELIVERY), "uid", "at", "grant"]), JSON_VALUES, max_size=3),
)
def test_whatever_a_member_holds_a_record_is_read_or_refused(
    sample: dict[str, Any], changes: dict[str, Any]
) -> None:
    line = json.dumps(sample | changes).encode()
    try:
        record = RecordReader(at_required=True).read(line)
    except RejectedError as error:
        assert error.reason  # noqa: PT017  # both ways out are good ones
    else:
        assert record.kind == (sample | changes)["kind"]


@given(st.binary(max_size=60))
def test_no_bytes_bring_the_reader_down(line: bytes) -> None:
    with pytest.raises(RejectedError):
        RecordReader(at_required=True).read(line)


@given(st.sampled_from(SAMPLES), st.data())
def test_a_repeated_member_is_found_wherever_it_stands(sample: dict[str, Any], data: st.DataObject) -> None:
    pairs = [
        f"{json.dumps(name)}{data.draw(st.sampled_from(['', ' ']))}:{json.dumps(value)}"
        for name, value in sample.items()
    ]
    again = data.draw(st.sampled_from(pairs))
    pairs.insert(data.draw(st.integers(0, len(pairs))), again)
    assert "twice" in refusal(("{" + ",".join(pairs) + "}").encode())
