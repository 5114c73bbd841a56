"""The portable checker: made from the core, for any Python from 3.8 on, and of one mind with `grantledger check`."""

from __future__ import annotations

import ast
import hashlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.core.proof_files import Known, check_proof_file, code_of
from ledger.errors import LedgerError
from ledger.portable import build, ed25519
from ledger.vault.cosignatures import cosigner_from_seed
from ledger.vault.ed25519 import from_seed, verify_ed25519
from tests.support.proof_samples import samples

SCRIPT = Path(build.__file__).with_name("verify.py")
LINES_MAX = 600
TRUSTED = ("account", "opened", "page", "news", "pair", "absent", "grown", "grown-unsigned", "entry")


def load_script() -> ModuleType:
    """The script as a module, which shares nothing with the project."""
    module = ModuleType("portable_verify")
    exec(compile(SCRIPT.read_text("utf-8"), str(SCRIPT), "exec"), module.__dict__)
    return module


SCRIPT_MODULE = load_script()


def refusal_of_script(data: bytes, **known: object) -> str | None:
    """The code with which the script refuses ``data``, or None where it takes it as proven."""
    try:
        SCRIPT_MODULE.check_proof_file(data, SCRIPT_MODULE.Known(**known), SCRIPT_MODULE.verify_ed25519)
    except SCRIPT_MODULE.LedgerError as error:
        return str(SCRIPT_MODULE.code_of(error))
    return None


def refusal_of_core(data: bytes, **known: object) -> str | None:
    """The code with which the core refuses ``data``, or None where it takes it as proven."""
    try:
        check_proof_file(data, Known(**known), verify_ed25519)  # type: ignore[arg-type]
    except LedgerError as error:
        return code_of(error)
    return None


def run_script(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The script, alone in ``directory``, with nothing of the project or of this environment in reach."""
    (directory / "verify.py").write_bytes(SCRIPT.read_bytes())
    command = [sys.executable, "-I", "-S", "verify.py", *arguments]
    return subprocess.run(
        command, cwd=directory, env={}, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_script_is_what_the_core_says_now() -> None:
    assert SCRIPT.read_text("utf-8") == build.build(), "run scripts/portable"


def test_the_script_is_short_enough_to_be_read() -> None:
    assert SCRIPT.read_text("utf-8").count("\n") < LINES_MAX


def test_the_script_uses_nothing_that_python_3_8_lacks() -> None:
    text = SCRIPT.read_text("utf-8")
    tree = ast.parse(text, feature_version=(3, 8))
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    newer = {"bit_count", "removeprefix", "removesuffix", "batched", "pairwise", "cache"}
    assert names & newer == set()
    modules = {node.names[0].name for node in ast.walk(tree) if isinstance(node, ast.Import)}
    modules |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {module.partition(".")[0] for module in modules} <= set(sys.stdlib_module_names)
    keywords = {
        keyword.arg for node in ast.walk(tree) if isinstance(node, ast.Call) for keyword in node.keywords
    }
    assert keywords & {"strict_mode", "slots", "strict", "kw_only"} == set()
    merged = [
        node for node in ast.walk(tree) if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.BitOr)
    ]
    assert merged == [], "dictionaries cannot be merged by an operator before 3.9"


@pytest.mark.parametrize("name", TRUSTED)
def test_a_proof_is_checked_in_an_empty_directory_without_the_project(name: str, tmp_path: Path) -> None:
    (tmp_path / "proof").write_bytes(samples().files[name])
    done = run_script(tmp_path, "proof", "--vkey", samples().vkey)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("PROVEN\nThis shows:\n")


def test_a_changed_proof_is_refused_with_its_code(tmp_path: Path) -> None:
    data = samples().files["account"]
    (tmp_path / "proof").write_bytes(data.replace(b'"count":', b'"count":1', 1))
    done = run_script(tmp_path, "proof", "--vkey", samples().vkey)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("NOT PROVEN: MAP_PROOF_INVALID: ")


def test_without_a_key_it_says_that_this_is_self_consistency_only(tmp_path: Path) -> None:
    (tmp_path / "proof").write_bytes(samples().files["account"])
    done = run_script(tmp_path, "proof")
    assert done.returncode == 0
    assert done.stdout.startswith("NOT CHECKED AGAINST A TRUSTED KEY")


@pytest.mark.parametrize(
    "arguments", [("missing",), ("proof",), ("proof", "--vkey", "no key"), (), ("proof", "--no-such-option")]
)
def test_bad_usage_ends_with_2_and_says_so_on_standard_error(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "proof").write_bytes(samples().files["entry"])
    done = run_script(tmp_path, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


def test_the_key_may_be_given_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "proof").write_bytes(samples().files["pair"])
    (tmp_path / "log.vkey").write_text(samples().vkey + "\n")
    assert run_script(tmp_path, "proof", "--vkey", "log.vkey").returncode == 0


@pytest.mark.parametrize("name", ["absent", "entry", "grown"])
def test_a_cosigner_may_be_given_as_a_file_and_has_to_have_cosigned(name: str, tmp_path: Path) -> None:
    (tmp_path / "proof").write_bytes(samples().files[name])
    (tmp_path / "witness.vkey").write_text(cosigner_from_seed("witness.example/w1", bytes(32)).vkey() + "\n")
    done = run_script(tmp_path, "proof", "--vkey", samples().vkey, "--cosigner", "witness.vkey")
    assert (done.returncode, done.stdout.partition(": ")[2][:14]) == (1, "QUORUM_MISSING")


@pytest.mark.parametrize(
    ("name", "asked"), [("grown", "--key"), ("entry", "--key"), ("grown", "--entry"), ("account", "--entry")]
)
def test_a_file_of_another_kind_does_not_answer_what_was_asked(name: str, asked: str, tmp_path: Path) -> None:
    (tmp_path / "proof").write_bytes(samples().files[name])
    (tmp_path / "entry").write_bytes(b"{}")
    done = run_script(tmp_path, "proof", "--vkey", samples().vkey, asked, "entry")
    assert (done.returncode, done.stdout.startswith("NOT PROVEN: OTHER_")) == (1, True)


@pytest.mark.parametrize("name", ["absent", "entry", "grown", "grown-unsigned", "opened"])
def test_no_byte_of_a_proof_can_be_changed(name: str) -> None:
    data = samples().files[name]
    known = {"vkey": samples().vkey} if name == "entry" else {}
    assert refusal_of_script(data, **known) is None
    taken = []
    # A signature that is looked at for each of some thousand bytes: the fast one, which the script's agrees with.
    checker, slow = SCRIPT_MODULE.check_proof_file, verify_ed25519
    for place in range(len(data)):
        for flipped in (data[place] ^ 1, data[place] ^ 0x20):
            changed = data[:place] + bytes([flipped]) + data[place + 1 :]
            try:
                checker(changed, SCRIPT_MODULE.Known(**known), slow)
            except SCRIPT_MODULE.LedgerError:
                continue
            taken.append((place, changed[max(0, place - 20) : place + 20]))
    assert taken == []


@pytest.mark.parametrize("name", ["account", "page", "grown", "entry"])
def test_no_proof_can_be_cut_or_added_to(name: str) -> None:
    data = samples().files[name]
    known = {"vkey": samples().vkey}
    for changed in (data[:-1], data[1:], data + b"\n", b" " + data, data + data, b""):
        assert refusal_of_script(changed, **known) is not None
        assert refusal_of_script(changed, **known) == refusal_of_core(changed, **known)


RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe246551"
            "41438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d"
            "291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027"
            "beceea1ec40a"
        ),
    ),
]
"""Section 7.1, tests 1 to 3: secret key, public key, message, signature."""


@pytest.mark.parametrize(("secret", "public", "message", "signature"), RFC_8032)
def test_signatures_of_rfc_8032_verify(secret: str, public: str, message: str, signature: str) -> None:
    key, text, signed = bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature)
    assert from_seed("test", bytes.fromhex(secret)).sign(text) == signed
    assert ed25519.verify_ed25519(key, text, signed)
    assert not ed25519.verify_ed25519(key, text + b"x", signed)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=40), st.integers(0, 63), st.integers(1, 255))
def test_mangled_signatures_get_the_verdict_of_the_library(
    seed: bytes, message: bytes, place: int, mask: int
) -> None:
    signer = from_seed("test", seed)
    public = signer.verifier()._key.public_key
    signature = bytearray(signer.sign(message))
    assert ed25519.verify_ed25519(public, message, bytes(signature))
    signature[place] ^= mask
    mangled = bytes(signature)
    assert ed25519.verify_ed25519(public, message, mangled) == verify_ed25519(public, message, mangled)


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=64, max_size=64))
def test_random_keys_and_signatures_get_the_verdict_of_the_library(public: bytes, signature: bytes) -> None:
    assert ed25519.verify_ed25519(public, b"m", signature) == verify_ed25519(public, b"m", signature)


def test_a_scalar_that_is_not_the_smallest_is_refused() -> None:
    signer = from_seed("test", bytes(32))
    public = signer.verifier()._key.public_key
    signature = signer.sign(b"m")
    scalar = int.from_bytes(signature[32:], "little") + ed25519.ORDER
    assert not ed25519.verify_ed25519(public, b"m", signature[:32] + scalar.to_bytes(32, "little"))


@pytest.mark.parametrize("y", [ed25519.P, ed25519.P + 1, 2**255 - 1])
def test_a_point_in_another_than_its_canonical_form_is_refused(y: int) -> None:
    assert ed25519.decode_point(y.to_bytes(32, "little")) is None


def test_minus_zero_is_no_coordinate() -> None:
    assert ed25519.decode_point((1 | 1 << 255).to_bytes(32, "little")) is None
    assert ed25519.decode_point((1).to_bytes(32, "little")) == ed25519.NEUTRAL


def test_lengths_are_exact() -> None:
    signature = from_seed("test", bytes(32)).sign(b"m")
    assert not ed25519.verify_ed25519(bytes(31), b"m", signature)
    assert not ed25519.verify_ed25519(hashlib.sha256(b"").digest(), b"m", signature[:63])
