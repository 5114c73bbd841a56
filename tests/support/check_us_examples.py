"""The examples of docs/check-us.md, made from the sample ledger."""

from __future__ import annotations

from ledger.core.canonical import decode
from ledger.core.chain import leaf_hash
from ledger.core.checkpoint import parse_checkpoint
from ledger.core.completeness import CompletenessBundle
from ledger.core.index import key_position, leaf_node
from ledger.core.note import parse_note
from tests.support.proof_samples import samples


def make_examples() -> dict[str, str]:
    """Name -> text of each example."""
    return {
        "absent": samples().files["absent"].decode(),
        "steps": "\n".join(_steps()),
        "grown": samples().files["grown-unsigned"].decode(),
    }


def _steps() -> list[str]:
    bundle = samples().bundles["absent"]
    assert isinstance(bundle, CompletenessBundle), "it is about a key"
    checkpoint = parse_checkpoint(parse_note(bundle.checkpoint).text)
    sealed, leaf = bundle.index_sealed, bundle.map_proof.leaf
    assert leaf is not None, "the way ends at another key's leaf"
    return [
        f"signed root             {checkpoint.root.hex()}",
        f"leaf hash of the seal   {leaf_hash(sealed.entry).hex()}  entry {sealed.index} of {checkpoint.size}",
        f"map_root in the seal    {decode(sealed.entry)['map_root']}",
        f"K of the key            {key_position(bundle.key).hex()}",
        f"K of the leaf met       {leaf.position.hex()}",
        f"node of the leaf met    {leaf_node(leaf.position, leaf.value).hex()}",
    ]
