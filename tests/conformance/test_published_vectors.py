"""Vectors that others published: transparency-dev/merkle, C2SP signed-note and tlog-cosignature, golang.org/x/mod.

Sources: ``testonly/constants.go`` of transparency-dev/merkle (Apache-2.0); the examples of C2SP's
signed-note; ``sumdb/note`` of golang.org/x/mod (BSD-3-Clause). The five entries ``{"n":0}`` to ``{"n":4}``
with the seeds 00..1f and 20..3f are the worked example of the transparency formats, section 4.7.
"""

from __future__ import annotations

from itertools import pairwise

import pytest

from ledger.core.canonical import encode
from ledger.core.chain import leaf_hash
from ledger.core.checkpoint import Checkpoint, format_checkpoint, open_checkpoint, sign_checkpoint
from ledger.core.cosignature import decode_cosignature
from ledger.core.merkle import (
    NodeId,
    check_consistency,
    check_inclusion,
    hash_leaf,
    prove_consistency,
    prove_inclusion,
    root_of,
)
from ledger.core.note import (
    Verifier,
    format_signature,
    open_note,
    parse_signature,
    parse_vkey,
    sign_note,
)
from ledger.core.strict import decode_base64, encode_base64
from ledger.errors import FormatError
from ledger.vault.cosignatures import CosignatureSigner, cosigner_from_seed
from ledger.vault.ed25519 import from_seed, signer_from_skey, verifier_from_vkey

LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
HASHES = [hash_leaf(leaf) for leaf in LEAVES]
ROOTS = [
    bytes.fromhex(text)
    for text in (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    )
]
LEAF_0_IN_8 = [
    "lqKW0iTyhcZ77pPDD4owkVfw2qNdxbh+QQt4YwoJz8c=",
    "Xwg/ChozygdqlSeYMlgNs+DvRYS9/x9UyKNg9Q3jAx4=",
    "a0eq8p7jwq+a+Im8H7klTavTEXfxYjLdaqsDXKOb9uQ=",
]

FOO_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
FOO_TEXT = "This is an example message.\n"
FOO_LINE = (
    "— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)

NEUMANN_SKEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
NEUMANN_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NEUMANN_TEXT = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
)
NEUMANN_LINE = (
    "— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)

ACME = "ledger.example/acme"
ACME_SEED = bytes(range(0x20))
ACME_VKEY = "ledger.example/acme+f1d8e151+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
ACME_HASHES = [leaf_hash(encode({"n": n})) for n in range(5)]
ACME_ROOT_3 = "LP73YnWX4AtWSXV3Stco7yEHBnWfym1kE4xt/By/LNo="
ACME_ROOT_5 = "h9UMXqS06cZqY1DcnPgMhWQabcLU6G++7tynUvpM20w="
WITNESS = "witness.example/w1"
WITNESS_SEED = bytes(range(0x20, 0x40))
WITNESS_TIME_S = 1679315147
WITNESS_LINE = (
    "— witness.example/w1 "
    "IDJKvgAAAABkGFDLZUoHp2M4al/VZXij1Ew7voyL/FPHcMbi7r/qiGwTCifPoeBD14If/y+K20k6hV5SFuL0eFKo+mmQ"
    "BCqe0hIYBw==\n"
)


def nodes_of(nodes: list[NodeId]) -> list[bytes]:
    """The hashes of nodes over the eight leaves."""
    return [root_of(HASHES[node.index << node.level : (node.index + 1) << node.level]) for node in nodes]


def witness() -> CosignatureSigner:
    """The witness of the worked example."""
    return cosigner_from_seed(WITNESS, WITNESS_SEED)


@pytest.mark.parametrize("size", range(9))
def test_the_roots_of_the_eight_leaves(size: int) -> None:
    assert root_of(HASHES[:size]) == ROOTS[size]


def test_the_inclusion_proof_of_leaf_0_in_size_8() -> None:
    proof = prove_inclusion(0, 8, lambda nodes: nodes_of(list(nodes)))
    assert [encode_base64(value) for value in proof] == LEAF_0_IN_8
    check_inclusion(proof, 0, 8, HASHES[0], ROOTS[8])


@pytest.mark.parametrize("sizes", list(pairwise(range(1, 9))))
def test_the_published_roots_are_consistent_one_with_the_next(sizes: tuple[int, int]) -> None:
    old, new = sizes
    proof = prove_consistency(old, new, lambda nodes: nodes_of(list(nodes)))
    check_consistency(proof, old, new, ROOTS[old], ROOTS[new])


def test_the_example_note_of_c2sp_opens() -> None:
    note = f"{FOO_TEXT}\n{FOO_LINE}".encode()
    assert open_note(note, [verifier_from_vkey(FOO_VKEY)]).text == FOO_TEXT


def test_the_note_of_sumdb_opens() -> None:
    note = f"{NEUMANN_TEXT}\n{NEUMANN_LINE}".encode()
    assert open_note(note, [verifier_from_vkey(NEUMANN_VKEY)]).verified == ("PeterNeumann",)


def test_the_private_key_of_sumdb_signs_the_same_note() -> None:
    signer = signer_from_skey(NEUMANN_SKEY)
    assert (signer.vkey(), signer.skey()) == (NEUMANN_VKEY, NEUMANN_SKEY)
    assert sign_note(NEUMANN_TEXT, [signer]) == f"{NEUMANN_TEXT}\n{NEUMANN_LINE}".encode()


@pytest.mark.parametrize(
    "vkey",
    [
        pytest.param(
            "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==", id="longer-key"
        ),
        pytest.param(
            "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", id="unknown-algorithm"
        ),
    ],
)
def test_the_bad_vkeys_of_sumdb_are_refused(vkey: str) -> None:
    with pytest.raises(FormatError):
        parse_vkey(vkey)


def test_the_seed_of_the_worked_example_has_its_vkey() -> None:
    assert from_seed(ACME, ACME_SEED).vkey() == ACME_VKEY


@pytest.mark.parametrize(("size", "root"), [(3, ACME_ROOT_3), (5, ACME_ROOT_5)])
def test_the_roots_of_the_worked_example(size: int, root: str) -> None:
    assert encode_base64(root_of(ACME_HASHES[:size])) == root


def test_the_witness_line_of_the_worked_example_verifies_beside_the_logs_own() -> None:
    checkpoint = Checkpoint(ACME, 5, decode_base64(ACME_ROOT_5))
    note = sign_checkpoint(checkpoint, [from_seed(ACME, ACME_SEED)]) + WITNESS_LINE.encode()
    verifiers: list[Verifier] = [verifier_from_vkey(ACME_VKEY), witness().verifier()]
    opened = open_checkpoint(note, ACME, verifiers)
    assert opened.note.verified == (ACME, WITNESS)
    assert decode_cosignature(opened.note.verified_signatures[1].signature).time_s == WITNESS_TIME_S


def test_the_witness_line_of_the_worked_example_is_of_that_checkpoint_only() -> None:
    signature = parse_signature(WITNESS_LINE.removesuffix("\n"))
    other = format_checkpoint(Checkpoint(ACME, 3, decode_base64(ACME_ROOT_3)))
    assert format_signature(signature) == WITNESS_LINE
    assert signature.key_id == witness().key_id
    assert not witness().verifier().verify(other.encode(), signature.signature)


def test_the_witness_cosigns_as_the_worked_example_does() -> None:
    text = format_checkpoint(Checkpoint(ACME, 5, decode_base64(ACME_ROOT_5)))
    assert format_signature(witness().cosign(text, WITNESS_TIME_S)) == WITNESS_LINE
