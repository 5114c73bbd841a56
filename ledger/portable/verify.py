#!/usr/bin/env python3
"""Checks proofs of a grantledger log, with nothing but Python (3.8 or later): python3 verify.py FILE [--vkey KEY]

Made from grantledger's core by its `scripts/portable`. Apache-2.0, the grantledger authors. Formats: its docs/check-us.md.
"""
import argparse, binascii, hashlib, hmac, json, os, re, struct, sys
from collections import namedtuple; from collections.abc import Mapping; from contextlib import contextmanager; from hashlib import sha256
from importlib import import_module

# errors: The exceptions of the whole project, and whose fault each one tells of
class LedgerError(Exception): pass  # Base of every error that this project raises on purpose
class FormatError(LedgerError, ValueError): pass  # Bytes or text that are not the one canonical form of anything
class ProofError(LedgerError):  # A Merkle, map or completeness proof that does not prove what it claims
    def __init__(self, text, code='PROOF_INVALID'): super().__init__(text); self.code = code
class SignatureError(LedgerError): pass  # A signed note that no known key signed, or that a known key did not sign as stated
class UsageError(LedgerError): pass  # A command was asked for something it cannot do
# core.strict: Strict text forms: decimal numbers, base64, hex, lines and ids (ledger format, section 1.1
INTEGER_MAX = 2 ** 53 - 1; ID_REGEX = '[A-Za-z0-9._-]{1,64}'; TAG_REGEX = 'a_[0-9a-f]{32}'; _SHOWN_CHARACTERS = 80
_match_decimal = re.compile('0|[1-9][0-9]*', re.ASCII).fullmatch; _match_hex = re.compile('(?:[0-9a-f]{2})*', re.ASCII).fullmatch
def shown(text): return ascii(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + '...')  # text quoted for an error message
def parse_decimal(text, maximum=INTEGER_MAX):  # The number that text writes in ASCII digits without sign, space or leading zero
    if len(text) > len(str(maximum)) or not _match_decimal(text): raise FormatError(f'{shown(text)} is not a decimal number up to {maximum}')
    number = int(text)
    if number > maximum: raise FormatError(f'{text} is above {maximum}')
    return number
def format_decimal(number):  # number as :func:`parse_decimal` reads it
    if type(number) is not int or not 0 <= number <= INTEGER_MAX: raise FormatError('a number is not an integer between 0 and 2^53 - 1')
    return str(number)
def decode_base64(text):  # The bytes of text in RFC 4648 section 4 base64: padded, no white space, unused bits zero
    try: data = binascii.a2b_base64(text)
    except ValueError: raise FormatError(f'{shown(text)} is not base64') from None
    if encode_base64(data) != text: raise FormatError(f'{shown(text)} is not canonical base64')
    return data
def encode_base64(data): return binascii.b2a_base64(data, newline=False).decode('ascii')  # data in RFC 4648 section 4 base64, padded
def parse_hex(text, size_bytes):  # The size_bytes bytes that text writes in lower-case hex
    if len(text) != 2 * size_bytes or not _match_hex(text): raise FormatError(f'{shown(text)} is not {2 * size_bytes} lower-case hex digits')
    return bytes.fromhex(text)
def parse_lines(text):  # The lines of text, each ended by U+000A and by nothing else
    *lines, rest = text.split('\n')
    if rest: raise FormatError('the last line does not end in a newline')
    return lines
def decode_utf8(data):  # The text of data
    try: return data.decode('utf-8')
    except UnicodeDecodeError: raise FormatError('the bytes are not UTF-8') from None
def encode_utf8(text):  # text in UTF-8
    try: return text.encode('utf-8')
    except UnicodeEncodeError: raise FormatError(f'{shown(text)} has no UTF-8 form') from None
# core.canonical: Canonical bytes of a JSON object (ledger format, section 1.1): RFC 8785 restricted until nothing is left to choose
ENTRY_BYTES_MAX = 65535; DEPTH_MAX = 16
_ENCODER = json.JSONEncoder(check_circular=False, allow_nan=False, sort_keys=True, separators=(',', ':'))
_CONTROL_CHARACTERS = bytes([*range(32), 127]); _TOKEN_CHARACTERS = b'[]{},:-0123456789truefals'
def decode(data):  # The object whose canonical bytes are data
    if len(data) > ENTRY_BYTES_MAX: raise FormatError(f'there are {len(data)} bytes; {ENTRY_BYTES_MAX} are allowed')
    if not data.isascii() or b'\\' in data or len(data.translate(None, _CONTROL_CHARACTERS)) != len(data):
        raise FormatError('there is a byte that is not printable ASCII, or is \\')
    outside = b''.join(data.split(b'"')[::2])
    if outside.translate(None, _TOKEN_CHARACTERS): raise FormatError('there is a value that has no canonical form, or no JSON')
    if _depth(outside) > DEPTH_MAX: raise FormatError(f'there are more than {DEPTH_MAX} levels')
    text = data.decode('ascii')
    try: value = _DECODER.raw_decode(text)[0]
    except json.JSONDecodeError as error: raise FormatError(f'the bytes are not JSON: {shown(str(error))}') from None
    if type(value) is not dict: raise FormatError('the outermost value is not an object')
    if _ENCODER.encode(value) != text: raise FormatError('the JSON is not in canonical form')
    return value
def parse_integer(text):  # The integer that JSON writes as text
    if len(text) > len(str(-INTEGER_MAX)) or abs(int(text)) > INTEGER_MAX: raise FormatError('an integer is not within 2^53')
    return int(text)
def refuse_number(text): raise FormatError(f'{shown(text)} is not an integer')  # Raise FormatError for what JSON, or Python
_DECODER = json.JSONDecoder(parse_int=parse_integer, parse_float=refuse_number, parse_constant=refuse_number)
def _depth(outside):  # How deep the brackets of outside, what stands outside of strings, nest, or at most that
    if outside.count(b'{') + outside.count(b'[') <= DEPTH_MAX: return 0
    deepest = level = 0
    for byte in outside: level += (byte in b'{[') - (byte in b'}]'); deepest = max(deepest, level)
    return deepest
# core.merkle: The Merkle tree of RFC 6962 and its proofs (RFC 9162, section 2.1
HASH_BYTES = 32; EMPTY_ROOT = hashlib.sha256(b'').digest(); _new_leaf = hashlib.sha256(b'\x00').copy; _new_node = hashlib.sha256(b'\x01').copy
def hash_leaf(data): state = _new_leaf(); state.update(data); return state.digest()  # The leaf hash of data: SHA-256(0x00 || data)
def hash_node(left, right): state = _new_node(); state.update(left + right); return state.digest()  # The hash above the hashes left and right
def check_inclusion(proof, index, size, leaf_hash, root):
    _check_size(size); _check_index(index, size); _check_hashes([leaf_hash, root, *proof]); first, second = index, size - 1
    computed = leaf_hash
    for sibling in proof:
        if second == 0: raise ProofError('the inclusion proof is too long')
        if first & 1 or first == second:
            computed = hash_node(sibling, computed)
            while first and (not first & 1): first >>= 1; second >>= 1
        else: computed = hash_node(computed, sibling)
        first >>= 1; second >>= 1
    if second != 0: raise ProofError('the inclusion proof is too short')
    if computed != root: raise ProofError(f'the inclusion proof of leaf {index} does not lead to the root of size {size}')
def check_consistency(proof, old_size, new_size, old_root, new_root):
    _check_sizes(old_size, new_size); _check_hashes([old_root, new_root, *proof])
    if old_size == new_size:
        if proof: raise ProofError('the consistency proof is too long')
        if old_root != new_root: raise ProofError(f'there are two roots of size {old_size}')
        return
    if not proof: raise ProofError('the consistency proof is too short')
    path = [old_root, *proof] if bin(old_size).count('1') == 1 else proof; first, second = old_size - 1, new_size - 1
    while first & 1: first >>= 1; second >>= 1
    old_computed = new_computed = path[0]
    for sibling in path[1:]:
        if second == 0: raise ProofError('the consistency proof is too long')
        if first & 1 or first == second:
            old_computed = hash_node(sibling, old_computed); new_computed = hash_node(sibling, new_computed)
            while first and (not first & 1): first >>= 1; second >>= 1
        else: new_computed = hash_node(new_computed, sibling)
        first >>= 1; second >>= 1
    if second != 0: raise ProofError('the consistency proof is too short')
    if old_computed != old_root: raise ProofError(f'the consistency proof does not lead to the root of size {old_size}')
    if new_computed != new_root: raise ProofError(f'the consistency proof does not lead to the root of size {new_size}')
def split_of(count): return 1 << (count - 1).bit_length() - 1  # The largest power of two below count >= 2
def _check_size(size):
    if not 0 < size <= INTEGER_MAX: raise ProofError(f'there are no proofs for a tree of size {size}')
def _check_index(index, size):
    if not 0 <= index < size: raise ProofError(f'leaf {index} is not in a tree of size {size}')
def _check_sizes(old_size, new_size):
    _check_size(new_size)
    if not 0 < old_size <= new_size: raise ProofError(f'there is no proof from a tree of size {old_size} to one of size {new_size}')
def _check_hashes(hashes):
    if any((len(value) != HASH_BYTES for value in hashes)): raise ProofError('a hash is not 32 bytes long')
def leaf_hash(entry_bytes): return hash_leaf(entry_bytes)  # The 32-byte leaf hash of an entry given as its canonical bytes
# core.cosignature: Cosignatures: a witness's signature on somebody's checkpoint, with the time (C2SP tlog-cosignature, version 1
TIME_BYTES = 8; ED25519_BYTES = 64; COSIGNATURE_BYTES = TIME_BYTES + ED25519_BYTES; TIME_S_MAX = 2 ** 63 - 1; _HEADER = b'cosignature/v1\n'
Cosignature = namedtuple('Cosignature', 'time_s signature')  # The two parts behind the key id
def format_cosigned(time_s, body): _check_time(time_s); return b'%stime %d\n%s' % (_HEADER, time_s, body)
def decode_cosignature(blob):  # The parts of what stands behind the key id
    if len(blob) != COSIGNATURE_BYTES: raise FormatError(f'a cosignature has {COSIGNATURE_BYTES} bytes, not {len(blob)}')
    time_s = int.from_bytes(blob[:TIME_BYTES], 'big'); _check_time(time_s); return Cosignature(time_s, blob[TIME_BYTES:])
def _check_time(time_s):
    if not 0 <= time_s <= TIME_S_MAX: raise FormatError('the time of a cosignature is not between 0 and 2^63 - 1 seconds')
# core.note: Signed notes and their keys (C2SP signed-note
ED25519 = 1; ED25519_COSIGNATURE = 4; ML_DSA_44_COSIGNATURE = 6
PUBLIC_KEY_BYTES = {ED25519: 32, ED25519_COSIGNATURE: 32, ML_DSA_44_COSIGNATURE: 1312}; KEY_ID_BYTES = 4; SIGNATURES_MAX = 100; _DASH = '— '
_search_control = re.compile('[\x00-\t\x0b-\x1f\x7f]').search
NoteSignature = namedtuple('NoteSignature', 'name key_id signature')  # One signature line: the key's name, its 4 bytes of key id
UnverifiedNote = namedtuple('UnverifiedNote', 'text signatures')  # A well-formed note of which nothing is known to be true
OpenedNote = namedtuple('OpenedNote', 'text verified_signatures signatures')  # A note that at least one known key signed
VerifierKey = namedtuple('VerifierKey', 'name key_id algorithm public_key')  # A public key as a vkey writes it
def check_name(name):  # name if it can name a key: not empty, no Unicode space, control character or plus sign
    if not name or '+' in name or _search_control(name) or any((character.isspace() for character in name)):
        raise FormatError(f'{shown(name)} is not the name of a key')
    encode_utf8(name); return name
def compute_key_id(name, algorithm, public_key):  # The first 4 bytes of SHA-256(name || 0x0A || type || public key)
    return hashlib.sha256(b'%s\n%c%s' % (encode_utf8(name), algorithm, public_key)).digest()[:KEY_ID_BYTES]
def make_verifier_key(name, algorithm, public_key):  # The key with its id
    check_name(name)
    if len(public_key) != PUBLIC_KEY_BYTES.get(algorithm):
        raise FormatError(f'{len(public_key)} bytes are not a public key of a known type ({algorithm:#04x})')
    return VerifierKey(name, compute_key_id(name, algorithm, public_key), algorithm, public_key)
def format_vkey(key): return f'{key.name}+{key.key_id.hex()}+{encode_base64(bytes([key.algorithm]) + key.public_key)}'
def parse_vkey(text):  # The public key that text writes as a vkey
    parts = text.split('+', 2)
    if len(parts) != 3: raise FormatError(f'{shown(text)} is not a vkey')
    name, id_text, key_text = parts; stated_id = parse_hex(id_text, KEY_ID_BYTES); typed_key = decode_base64(key_text)
    if not typed_key: raise FormatError(f'{shown(text)} is a vkey without a key')
    key = make_verifier_key(name, typed_key[0], typed_key[1:])
    if key.key_id != stated_id: raise FormatError(f'the key id {id_text} of {shown(name)} is not that of its key')
    return key
def parse_signature(line):  # The signature that line (without its newline) writes
    if not line.startswith(_DASH): raise FormatError(f'{shown(line)} is not a signature line')
    name, _, blob_text = line[len(_DASH):].partition(' '); check_name(name); blob = decode_base64(blob_text)
    if len(blob) <= KEY_ID_BYTES: raise FormatError(f'the signature of {shown(name)} is too short')
    return NoteSignature(name, blob[:KEY_ID_BYTES], blob[KEY_ID_BYTES:])
def parse_note(data):  # The text and the signatures of a note, none of them verified
    whole = decode_utf8(data)
    if _search_control(whole): raise FormatError('the note holds a control character')
    text, divider, signature_text = whole.rpartition('\n\n')
    if not divider: raise FormatError('the note has no blank line')
    lines = parse_lines(signature_text)
    if not 1 <= len(lines) <= SIGNATURES_MAX: raise FormatError(f'the note has {len(lines)} signatures')
    return UnverifiedNote(text + '\n', tuple((parse_signature(line) for line in lines)))
def open_note(data, verifiers):  # The note data, verified by the known keys verifiers
    known = {}
    for verifier in verifiers:
        if known.setdefault((verifier.name, verifier.key_id), verifier) is not verifier:
            raise FormatError(f'two known keys are {shown(verifier.name)} with one key id')
    note = parse_note(data); message = encode_utf8(note.text); verified = {}
    for signature in note.signatures:
        key = (signature.name, signature.key_id)
        if key not in known: continue
        if not known[key].verify(message, signature.signature):
            raise SignatureError(f'the signature of {shown(signature.name)} does not verify')
        verified.setdefault(key, signature)
    if not verified: raise SignatureError('no known key has signed the note')
    return OpenedNote(note.text, tuple(verified.values()), note.signatures)
# core.checkpoint: Checkpoints: the size and root of a log, signed (C2SP tlog-checkpoint
Checkpoint = namedtuple('Checkpoint', 'origin size root')  # The tree of size entries of the log origin has the 32-byte root
OpenedCheckpoint = namedtuple('OpenedCheckpoint', 'checkpoint note')  # A checkpoint that the log's key signed, and the note it came in
def format_checkpoint(checkpoint):  # The three lines of checkpoint
    check_name(checkpoint.origin)
    if len(checkpoint.root) != HASH_BYTES: raise FormatError(f'the root has {len(checkpoint.root)} bytes, not {HASH_BYTES}')
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT: raise FormatError('the root of size 0 is not that of the empty tree')
    return f'{checkpoint.origin}\n{format_decimal(checkpoint.size)}\n{encode_base64(checkpoint.root)}\n'
def parse_checkpoint(text):  # The checkpoint whose three lines are exactly text
    lines = parse_lines(text)
    if len(lines) != 3: raise FormatError(f'a checkpoint has 3 lines, not {len(lines)}')
    checkpoint = Checkpoint(lines[0], parse_decimal(lines[1]), decode_base64(lines[2]))
    if format_checkpoint(checkpoint) != text: raise FormatError('the checkpoint is not in canonical form')
    return checkpoint
def open_checkpoint(data, origin, verifiers):  # The checkpoint of the log origin in the note data, verified by the known keys verifiers
    note = open_note(data, verifiers); checkpoint = parse_checkpoint(note.text)
    if checkpoint.origin != origin: raise SignatureError(f'the checkpoint is of the log {shown(checkpoint.origin)}, not {shown(origin)}')
    if not any((line.name == origin and len(line.signature) == ED25519_BYTES for line in note.verified_signatures)):
        raise SignatureError(f'no known key named {shown(origin)} has signed the checkpoint')
    return OpenedCheckpoint(checkpoint, note)
# core.index: Index keys and the leaves that stand behind them (ledger format, sections 1.4 and 1.7)
MAP_FN = 1; _POSITION_PREFIX = b'gl/map/key/v1\x00'; _VALUE_PREFIX = b'gl/map/value/v1\x00'; _LEAF_PREFIX = b'gl/map/leaf/v1\x00'
_DEVELOPER_MEMBERS = ('developer', 'previous_developer', 'processor'); _pack_key_leaf = struct.Struct('>Q32s').pack
_pack_value = struct.Struct(f'>{len(_VALUE_PREFIX)}sQQ32s').pack
KeyRow = namedtuple('KeyRow', 'count last_seq key_root')  # What the map says about one key over the first map_size entries
def index_keys(members):  # Return the keys under which the entry with members is indexed: each once, in ascending byte order
    developers = {name for member in _DEVELOPER_MEMBERS if isinstance((name := members.get(member)), str)}
    received_by = members.get('received_by')
    if isinstance(received_by, Mapping) and isinstance((receiver := received_by.get('developer')), str): developers.add(receiver)
    keys = {f'dev:{developer}' for developer in developers}; account = members.get('account')
    if isinstance(account, str): keys.add(f'acct:{account}'); keys.update([f'pair:{account}:{developer}' for developer in developers])
    subjects = members.get('subjects')
    if isinstance(subjects, (list, tuple)): keys.update([f'subj:{tag}' for tag in subjects if isinstance(tag, str)])
    return sorted(keys)
def encode_key_leaf(seq, leaf_hash):  # Return the 40-byte leaf of a key's tree for the entry at seq with the 32-byte leaf_hash
    if len(leaf_hash) != HASH_BYTES: raise AssertionError(f'a leaf hash has 32 bytes, not {len(leaf_hash)}')
    return _pack_key_leaf(seq, leaf_hash)
def key_leaf_hash(seq, leaf_hash): return hash_leaf(encode_key_leaf(seq, leaf_hash))  # Return the RFC 6962 leaf hash of :func:`encode_key_leaf`
def key_position(key): return sha256(_POSITION_PREFIX + key.encode()).digest()  # Return the position K of key: 32 bytes
def value_hash(row):  # Return the value V (32 bytes) that stands for row in the map
    if len(row.key_root) != HASH_BYTES: raise AssertionError(f'a key root has 32 bytes, not {len(row.key_root)}')
    return sha256(_pack_value(_VALUE_PREFIX, row.count, row.last_seq, row.key_root)).digest()
def leaf_node(position, value): return sha256(_LEAF_PREFIX + position + value).digest()  # Return the map's node
# core.map_proof: Proofs in the sparse map and their check (ledger format, section 1.4)
EMPTY_NODE = bytes(32); NODE_PREFIX = b'gl/map/node/v1\x00'; _SIBLINGS_MAX = 256; _U64_MAX = 2 ** 64 - 1
MapLeaf = namedtuple('MapLeaf', 'position value')  # A leaf as a proof shows it: position K and value V, 32 bytes each
MapProof = namedtuple('MapProof', 'present siblings leaf')  # The claim that a key is present or absent, with the evidence
def inner_node(left, right): return sha256(NODE_PREFIX + left + right).digest()  # Return the node over left and right, 32 bytes each
def check_map_proof(key, proof, row, map_root):  # Check that proof shows row to be the row of key, or None its absence, under map_root
    position = key_position(key); depth = len(proof.siblings); _map_proof_check_sizes(proof, map_root); leaf = proof.leaf
    node = _check_presence(position, leaf, row) if proof.present else _check_absence(position, leaf, row, depth)
    if proof.siblings and proof.siblings[-1] == EMPTY_NODE:
        raise ProofError('map proof: the deepest sibling is empty, which no compressed map has')
    way = int.from_bytes(position, 'big') >> _SIBLINGS_MAX - depth
    for sibling in reversed(proof.siblings): node = inner_node(sibling, node) if way & 1 else inner_node(node, sibling); way >>= 1
    if node != map_root: raise ProofError(f'map proof: leads to the root {node.hex()}, not to {map_root.hex()}')
def _map_proof_check_sizes(proof, map_root):
    if len(proof.siblings) > _SIBLINGS_MAX: raise ProofError(f'map proof: {len(proof.siblings)} siblings, at most {_SIBLINGS_MAX} are possible')
    parts = [map_root, *proof.siblings]
    if proof.leaf is not None: parts += [proof.leaf.position, proof.leaf.value]
    if any((len(part) != len(EMPTY_NODE) for part in parts)): raise ProofError('map proof: a hash that does not have 32 bytes')
def _check_presence(position, leaf, row):
    if row is None: raise ProofError('map proof: presence is claimed without a row')
    if not 1 <= row.count <= row.last_seq + 1 <= _U64_MAX or len(row.key_root) != len(EMPTY_NODE):
        raise ProofError('map proof: a row that no key can have')
    if leaf is None: raise ProofError('map proof: presence is claimed without a leaf')
    if leaf.position != position: raise ProofError("map proof: another key's leaf is offered as presence")
    value = value_hash(row)
    if leaf.value != value: raise ProofError('map proof: the leaf does not hold the row')
    return leaf_node(position, value)
def _check_absence(position, leaf, row, depth):
    if row is not None: raise ProofError('map proof: absence is claimed beside a row')
    if leaf is None: return EMPTY_NODE
    if leaf.position == position: raise ProofError("map proof: the key's own leaf is offered as absence")
    parting = 8 * len(position) - (int.from_bytes(position, 'big') ^ int.from_bytes(leaf.position, 'big')).bit_length()
    if parting < depth: raise ProofError(f"map proof: the leaf parts from the key's way at bit {parting}, above depth {depth}")
    return leaf_node(leaf.position, leaf.value)
# core.shapes: The shape that a JSON value has to have, and reading it strictly: what proofs and bundles are made of (section 1.4)
HASH, ENTRY = 'hash', 'entry'
def read_shape(value, shape, what):  # value, as json made it, read as shape
    if isinstance(shape, Mapping):
        if not isinstance(value, dict): raise FormatError(f'{what} is not an object')
        if missing := ({name for name in shape if not name.endswith('?')} - set(value)):
            raise FormatError(f"{what} is without {', '.join(sorted(missing))}")
        shapes = {name.rstrip('?'): inner for name, inner in shape.items()}
        if set(value) - set(shapes): raise FormatError(f'{what} has members that it cannot have')
        return {name: read_shape(value[name], inner, name) if name in value else None for name, inner in shapes.items()}
    if isinstance(shape, list):
        if not isinstance(value, list): raise FormatError(f'{what} is not a list')
        return tuple([read_shape(item, shape[0], what) for item in value])
    if shape is int and (type(value) is not int or not 0 <= value <= INTEGER_MAX):
        raise FormatError(f'{what} is not an integer from 0 to 2^53 - 1')
    if type(value) is not (str if shape in (HASH, ENTRY) else shape): raise FormatError(f'{what} is not what it has to be')
    if shape is HASH: return parse_hex(str(value), HASH_BYTES)
    if shape is ENTRY and (not str(value).isascii()): raise FormatError(f'{what} is not ASCII')
    return str(value).encode() if shape is ENTRY else value
@contextmanager
def refused_as(code):  # Give each ProofError of the block this code
    try: yield
    except ProofError as error: raise ProofError(str(error), code) from None
# core.openings: Openings: what a commitment in an entry commits to, shown to whoever may know it (ledger format, section 1.2)
OPENING = {'seq': int, 'field': str, 'salt': HASH, 'value': str}
Opening = namedtuple('Opening', 'seq field salt value')  # That the member field of the entry seq commits to value, under the 32-byte salt
def check_openings(openings, entries):  # Raise ProofError unless each of openings opens a commitment of its entry, all in order and none twice
    previous = (-1, '')
    for opening in openings:
        members = decode(entries.get(opening.seq, b'{}'))
        for name in opening.field.split('.'): members = members.get(name) if isinstance(members, dict) else None
        made = hmac.new(opening.salt, encode_utf8(opening.value), 'sha256').hexdigest()
        if members != made or (opening.seq, opening.field) <= previous:
            raise ProofError(f'{shown(opening.field)} of entry {opening.seq} does ' f'not commit to that, or is out of order',
                    'COMMITMENT_MISMATCH')
        previous = (opening.seq, opening.field)
# core.page_proof: Proofs of consecutive leaves of an RFC 6962 tree (ledger format, section 1.4: pages of a key's entries)
def check_page(leaf_hashes, first, size, proof, root):
    _check_page(first, len(leaf_hashes), size)
    if any((len(value) != HASH_BYTES for value in (root, *leaf_hashes, *proof))): raise ProofError('a hash is not 32 bytes long')
    beside = iter(proof); computed = _fold(leaf_hashes, first, 0, size, beside)
    if next(beside, None) is not None: raise ProofError("the page's proof is too long")
    if computed != root: raise ProofError(f'the page of {len(leaf_hashes)} leaves from {first} on does not lead to the root of size {size}')
def _check_page(first, count, size):
    if first < 0 or count < 1 or (not first + count <= size <= INTEGER_MAX):
        raise ProofError(f'a tree of size {size} has no page of {count} leaves from {first} on')
def _fold(page, first, low, high, beside):  # The root over [low, high) from the leaves of page and the hashes beside it, taken as they come
    end = first + len(page)
    if high <= first or end <= low:
        node = next(beside, None)
        if node is None: raise ProofError("the page's proof is too short")
        return node
    if high - low == 1: return page[low - first]
    middle = low + split_of(high - low); left = _fold(page, first, low, middle, beside)
    return hash_node(left, _fold(page, first, middle, high, beside))
# core.completeness: Completeness bundles: evidence that all that is recorded about a key is shown (ledger format, section 1.4)
MAP_PROOF = {'present': bool, 'siblings': [HASH], 'leaf?': {'position': HASH, 'value': HASH}}
ROW = {'count': int, 'last_seq': int, 'key_root': HASH}; SEAL = {'kind': str, 'seq': int, 'map_fn': int, 'map_size': int, 'map_root': HASH}
BUNDLE = {'checkpoint': str, 'key': str, 'index_sealed': {'entry': ENTRY, 'index': int, 'proof': [HASH]}, 'map_proof': MAP_PROOF, 'row?': ROW,
        'entries?': [{'seq': int, 'entry': ENTRY}], 'page?': {'first': int, 'proof': [HASH]}, 'openings?': [OPENING]}
_PARTS = {'page', 'openings'}
_match_key = re.compile(f'(acct|subj):{TAG_REGEX}|dev:{ID_REGEX}|pair:{TAG_REGEX}:{ID_REGEX}', re.ASCII).fullmatch
KeyEntry = namedtuple('KeyEntry', 'seq entry')  # One entry of a key: its seq and its exact canonical bytes
SealedIndex = namedtuple('SealedIndex', 'entry index proof')  # The bytes of index.sealed, where it stands, and the path (32-byte hashes
PagePlace = namedtuple('PagePlace', 'first proof')  # Where a page of a key's entries begins (0 is the oldest), and the hashes beside it
CompletenessBundle = namedtuple('CompletenessBundle', 'checkpoint key index_sealed map_proof row entries page openings', defaults=[None, ()])
CheckedCompleteness = namedtuple('CheckedCompleteness', 'key map_size tree_size count entries checkpoint first ' 'key_root page openings',
        defaults=[0, None, None, ()])
def check_parsed_completeness(bundle, origin, verifiers, key=None):  # :func:`check_completeness` for a bundle that was parsed already
    if key is not None and bundle.key != key: raise ProofError(f'it is about {shown(bundle.key)}, not about {shown(key)}', 'OTHER_KEY')
    opened = open_checkpoint(bundle.checkpoint, origin, verifiers); tree_size = opened.checkpoint.size; sealed = bundle.index_sealed
    if sealed.index != tree_size - 1: raise ProofError(f'entry {sealed.index} is not the last entry of {tree_size}', 'SEAL_STALE')
    with refused_as('INCLUSION_INVALID'):
        check_inclusion(sealed.proof, sealed.index, tree_size, leaf_hash(sealed.entry), opened.checkpoint.root)
    map_size, map_root = _read_seal(sealed)
    with refused_as('MAP_PROOF_INVALID'): check_map_proof(bundle.key, bundle.map_proof, bundle.row, map_root)
    if bundle.row is None: return CheckedCompleteness(bundle.key, map_size, tree_size, 0, (), opened)
    _check_entries(bundle.key, bundle.row, bundle.entries, bundle.page, map_size)
    check_openings(bundle.openings, {item.seq: item.entry for item in bundle.entries}); first = 0 if bundle.page is None else bundle.page.first
    return CheckedCompleteness(bundle.key, map_size, tree_size, bundle.row.count, bundle.entries, opened, first, bundle.row.key_root,
            bundle.page, bundle.openings)
def parse_completeness(bundle):  # Return bundle, as read from JSON, as a value
    own = {name: value for name, value in bundle.items() if name in BUNDLE or f'{name}?' in BUNDLE}
    read = read_shape(own, BUNDLE, 'the bundle'); map_proof = _map_proof_of(read['map_proof'])
    is_there, parts = map_proof.present, set(own) & _PARTS
    if is_there != ('row' in own) or is_there != ('entries' in own) or (parts and (not is_there)):
        raise FormatError('row and entries stand in a bundle where the key is present, page and openings only there')
    if read['openings'] == (): raise FormatError('openings that are none are left out')
    return CompletenessBundle(encode_utf8(read['checkpoint']), check_key(read['key']), SealedIndex(**read['index_sealed']), map_proof,
            read['row'] and KeyRow(**read['row']), tuple([KeyEntry(**item) for item in read['entries'] or ()]), read['page']
            and PagePlace(**read['page']), tuple([Opening(**item) for item in read['openings'] or ()]))
def _map_proof_of(read): leaf = read['leaf'] and MapLeaf(**read['leaf']); return MapProof(read['present'], read['siblings'], leaf)
def check_key(key):  # Return key if an entry could carry it
    if not _match_key(key): raise FormatError(f'{shown(key)} is not an index key')
    return key
def _read_seal(sealed):  # Return map_size and map_root of the index.sealed entry
    try: members = decode(sealed.entry); seal = read_shape({name: members[name] for name in SEAL if name in members}, SEAL, 'index.sealed')
    except FormatError as error: raise ProofError(f'the last entry of the tree seals no index: {error}', 'SEAL_INVALID') from None
    stated = (seal['kind'], seal['seq'], seal['map_fn'])
    if stated != ('index.sealed', sealed.index, MAP_FN) or not 1 <= seal['map_size'] <= sealed.index:
        raise ProofError(f"entry {sealed.index} seals no index: {stated}, {seal['map_size']} entries", 'SEAL_INVALID')
    return (seal['map_size'], seal['map_root'])
def _check_entries(key, row, entries, page, map_size):  # Check that entries are the whole of the tree that row states for key
    first = 0 if page is None else page.first
    if page is None and len(entries) != row.count:
        raise ProofError(f'{len(entries)} entries are shown, {row.count} are recorded under {shown(key)}', 'INDEX_OMISSION')
    previous = -1; leaves = []
    for item in entries:
        members = decode(item.entry); is_own = type(members.get('seq')) is int and members.get('seq') == item.seq
        if not (is_own and previous < item.seq < map_size):
            raise ProofError(f'entry {item.seq} states another seq, or is out of order', 'ENTRY_MISPLACED')
        if key not in index_keys(members): raise ProofError(f'entry {item.seq} does not carry {shown(key)}', 'ENTRY_OF_OTHER_KEY')
        leaves.append(key_leaf_hash(item.seq, leaf_hash(item.entry))); previous = item.seq
    if first + len(entries) == row.count and previous != row.last_seq:
        raise ProofError(f'the last entry is {previous}, not {row.last_seq}', 'INDEX_OMISSION')
    with refused_as('INDEX_OMISSION' if page is None else 'PAGE_INVALID'):
        check_page(leaves, first, row.count, () if page is None else page.proof, row.key_root)
# core.consistency: Consistency bundles: evidence that a log has only grown since an earlier state (transparency formats, section 4.1)
_consistency_BUNDLE = {'checkpoint': str, 'proof': [HASH], 'old?': {'size': int, 'root': HASH}, 'old_checkpoint?': str}
OldState = namedtuple('OldState', 'size root')  # The state that the log had with size entries: its 32-byte root
ConsistencyBundle = namedtuple('ConsistencyBundle', 'checkpoint old proof')  # A bundle of which nothing is known to be true
CheckedConsistency = namedtuple('CheckedConsistency', 'checkpoint old is_old_signed')  # The tree of checkpoint begins with the tree of old
def check_consistency_bundle(bundle, origin, verifiers):  # Check bundle for the log origin and the known keys verifiers
    known = list(verifiers); opened = open_checkpoint(bundle.checkpoint, origin, known); old, new = bundle.old, opened.checkpoint
    if isinstance(old, bytes): earlier = open_checkpoint(old, origin, known).checkpoint; old = OldState(earlier.size, earlier.root)
    with refused_as('CHECKPOINT_INCONSISTENT'): check_consistency(bundle.proof, old.size, new.size, old.root, new.root)
    return CheckedConsistency(opened, old, isinstance(bundle.old, bytes))
def parse_consistency(bundle):  # bundle, as read from JSON, as a value
    own = {name: value for name, value in bundle.items() if name in _consistency_BUNDLE or f'{name}?' in _consistency_BUNDLE}
    read = read_shape(own, _consistency_BUNDLE, 'the bundle')
    if ('old' in own) == ('old_checkpoint' in own): raise FormatError('the bundle states its older state once, as old or as old_checkpoint')
    old = OldState(**read['old']) if read['old'] else encode_utf8(read['old_checkpoint'])
    return ConsistencyBundle(encode_utf8(read['checkpoint']), old, read['proof'])
# core.jcs: JSON objects as files: RFC 8785, and nothing else is read (ledger format, section 1.4)
def encode_file(value): return encode_utf8(json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(',', ':')))
def decode_file(data):  # The object whose file is exactly data
    text = decode_utf8(data)
    try: value = json.loads(text, parse_int=parse_integer, parse_float=refuse_number, parse_constant=refuse_number)
    except (ValueError, RecursionError) as error: raise FormatError(f'the file is not JSON: {shown(str(error))}') from None
    if type(value) is not dict: raise FormatError('the file is not a JSON object')
    if encode_file(value) != data: raise FormatError('the JSON is not in canonical form (RFC 8785): some byte of the file was changed')
    return value
# core.note_keys: Known keys that verify notes by a function for raw Ed25519 signatures (transparency formats, sections 4.2 and 4.6)
class LogKey:  # The key of a log: a :class:`ledger.core.note.Verifier`
    def __init__(self, key, verify):  # Raises FormatError when key is of another signature type
        if key.algorithm != ED25519: raise FormatError(f'{shown(format_vkey(key))} is not the key of a log')
        self.name = key.name; self.key_id = key.key_id; self._public_key = key.public_key; self._verify = verify
    def verify(self, message, signature): return self._verify(self._public_key, message, signature)
class CosignerKey:  # The key of a witness or monitor that cosigns checkpoints: a :class:`ledger.core.note.Verifier`
    def __init__(self, key, verify):  # Raises FormatError when key is of another signature type
        if key.algorithm != ED25519_COSIGNATURE: raise FormatError(f'{shown(format_vkey(key))} is not the key of a cosigner')
        self.name = key.name; self.key_id = key.key_id; self._public_key = key.public_key; self._verify = verify
    def verify(self, message, signature):  # Whether signature is this key's cosignature of the checkpoint message
        try: cosignature = decode_cosignature(signature)
        except FormatError: return False
        cosigned = format_cosigned(cosignature.time_s, message); return self._verify(self._public_key, cosigned, cosignature.signature)
# core.tlog_proof: Inclusion proofs that stand alone (C2SP tlog-proof
MAGIC = 'c2sp.org/tlog-proof@v1'; HASHES_MAX = 63; _EXTRA = 'extra '; _INDEX = 'index '
TlogProof = namedtuple('TlogProof', 'index hashes checkpoint extra', defaults=[None])  # That a leaf stands at index of the tree of checkpoint
def format_tlog_proof(proof):  # The bytes of a .tlog-proof file
    if len(proof.hashes) > HASHES_MAX or any((len(value) != HASH_BYTES for value in proof.hashes)):
        raise FormatError(f'a proof has at most {HASHES_MAX} hashes of {HASH_BYTES} bytes')
    if proof.extra == b'': raise FormatError('an empty extra line is left out')
    lines = [MAGIC]
    if proof.extra is not None: lines.append(_EXTRA + encode_base64(proof.extra))
    lines.append(_INDEX + format_decimal(proof.index)); lines.extend((encode_base64(value) for value in proof.hashes))
    return ''.join((line + '\n' for line in lines)).encode('ascii') + b'\n' + proof.checkpoint
def parse_tlog_proof(data):  # The proof whose file is exactly data
    head, divider, checkpoint = data.partition(b'\n\n')
    if not divider: raise FormatError('the proof has no blank line')
    lines = iter(parse_lines(decode_utf8(head) + '\n'))
    if next(lines) != MAGIC: raise FormatError(f'the proof does not begin with {MAGIC}')
    line = next(lines, ''); extra = None
    if line.startswith(_EXTRA): extra = decode_base64(line[len(_EXTRA):]); line = next(lines, '')
    if not line.startswith(_INDEX): raise FormatError(f'{shown(line)} is not an index line')
    index = parse_decimal(line[len(_INDEX):])
    proof = TlogProof(index, tuple((decode_base64(line) for line in lines)), checkpoint, extra)
    if format_tlog_proof(proof) != data: raise FormatError('the proof is not in canonical form')
    return proof
def check_tlog_proof(proof, leaf_hash, origin, verifiers):
    opened = open_checkpoint(proof.checkpoint, origin, verifiers)
    check_inclusion(proof.hashes, proof.index, opened.checkpoint.size, leaf_hash, opened.checkpoint.root); return opened
# core.proof_files: Files that prove something by themselves, and their check (ledger format, section 1.4
FILE_BYTES_MAX = 1 << 26; _BUNDLE_MEMBERS = {'vkey', 'cosigners', 'checkpoint'}
_COMPLETENESS_MEMBERS = {'key', 'index_sealed', 'map_proof', 'row', 'entries', 'page', 'openings', 'position'}
_CONSISTENCY_MEMBERS = {'old', 'old_checkpoint', 'proof'}
Known = namedtuple('Known', 'vkey key entry cosigners', defaults=[None, None, None, ()])  # What a reader brings along: the log's trusted key
CheckedEntry = namedtuple('CheckedEntry', 'checkpoint index entry')  # The entry with the canonical bytes entry stands at index of the log
CheckedFile = namedtuple('CheckedFile', 'proven is_trusted')  # What a file proves
def check_proof_file(data, known, verify):  # Check the file data
    if len(data) > FILE_BYTES_MAX: raise FormatError(f'the file has more than {FILE_BYTES_MAX} bytes')
    asked = [_trusted_key(CosignerKey, text, verify) for text in sorted(set(known.cosigners))]
    if data.startswith(MAGIC.encode()): checked = _check_entry(data, known, asked, verify)
    elif 'map_proof' in (bundle := decode_file(data)): checked = _check_completeness(bundle, known, verify)
    elif 'proof' in bundle: checked = _check_consistency(bundle, known, verify)
    else: raise FormatError('the file is no proof of a kind that is known here')
    _check_asked(checked.proven, known, asked); return checked
def _check_asked(proven, known, asked):  # Raise ProofError where proven is not of the kind that was asked about
    kinds = ((known.key, CheckedCompleteness, 'OTHER_KEY'), (known.entry, CheckedEntry, 'OTHER_ENTRY'))
    signed = {(line.name, line.key_id) for line in proven.checkpoint.note.verified_signatures}
    for wanted, kind, code in kinds:
        if wanted is not None and (not isinstance(proven, kind)): raise ProofError('the file is of another kind than was asked for', code)
    if {(key.name, key.key_id) for key in asked} - signed: raise ProofError('a cosigner asked for has not cosigned', 'QUORUM_MISSING')
def code_of(error):  # The code of a refusal
    other = 'CHECKPOINT_SIGNATURE_INVALID' if isinstance(error, SignatureError) else 'PROOF_MALFORMED'
    return error.code if isinstance(error, ProofError) else other
def _check_entry(data, known, asked, verify):
    if known.vkey is None: raise UsageError("a .tlog-proof does not state the log's key: bring it along")
    proof = parse_tlog_proof(data); entry = known.entry if proof.extra is None else proof.extra
    if entry is None: raise UsageError("this .tlog-proof does not hold its entry: bring along the entry's bytes")
    if known.entry not in (None, entry): raise ProofError('the proof is about another entry than was asked for', 'OTHER_ENTRY')
    log_key = _trusted_key(LogKey, known.vkey, verify)
    with refused_as('INCLUSION_INVALID'): opened = check_tlog_proof(proof, leaf_hash(entry), log_key.name, [log_key, *asked])
    seq = decode(entry).get('seq')
    if type(seq) is not int or seq != proof.index: raise ProofError('the entry states another seq', 'ENTRY_MISPLACED')
    return CheckedFile(CheckedEntry(opened, proof.index, entry), True)
def _check_completeness(bundle, known, verify):
    keys = _stated_keys(bundle, _COMPLETENESS_MEMBERS, known, verify); parsed = parse_completeness(bundle)
    if bundle.get('position') != key_position(parsed.key).hex(): raise ProofError('the position is not that of the key', 'OTHER_KEY')
    _check_lines(keys, [parsed.checkpoint]); checked = check_parsed_completeness(parsed, keys[0].name, keys, known.key)
    return CheckedFile(checked, known.vkey is not None)
def _check_consistency(bundle, known, verify):
    keys = _stated_keys(bundle, _CONSISTENCY_MEMBERS, known, verify); parsed = parse_consistency(bundle)
    _check_lines(keys, [parsed.checkpoint, parsed.old] if isinstance(parsed.old, bytes) else [parsed.checkpoint])
    return CheckedFile(check_consistency_bundle(parsed, keys[0].name, keys), known.vkey is not None)
def _stated_keys(bundle, members, known, verify):  # The keys that bundle states, the log's first, which is the known one where there is one
    if unknown := (set(bundle) - _BUNDLE_MEMBERS - members):
        raise FormatError(f'the file has a member that is not known here: {shown(min(unknown))}')
    vkey = read_shape(bundle.get('vkey'), str, 'vkey'); log_key = LogKey(parse_vkey(vkey), verify)
    if known.vkey is not None and _trusted_key(LogKey, known.vkey, verify).key_id and (vkey != known.vkey):
        raise ProofError(f'the bundle is of the log key {shown(vkey)}, not of the trusted one', 'KEY_NOT_TRUSTED')
    cosigners = read_shape(bundle.get('cosigners', []), [str], 'cosigners')
    if 'cosigners' in bundle and (not cosigners or sorted(set(cosigners)) != list(cosigners)):
        raise FormatError('cosigners are sorted, each there once, and left out where there are none')
    if set(known.cosigners) - set(cosigners): raise ProofError('a cosigner asked for has not cosigned', 'QUORUM_MISSING')
    return [log_key, *[CosignerKey(parse_vkey(text), verify) for text in cosigners]]
def _trusted_key(kind, vkey, verify):
    try: return kind(parse_vkey(vkey), verify)
    except FormatError as error: raise UsageError(f'the key that was brought along is none: {error}') from None
def _check_lines(keys, notes):  # Raise ProofError unless each signature of notes is of one of keys, none twice, and each key has signed
    unused = {(key.name, key.key_id) for key in keys}
    for note in notes:
        left = {(key.name, key.key_id) for key in keys}
        for signature in parse_note(note).signatures:
            line = (signature.name, signature.key_id)
            if line not in left:
                raise ProofError(f'a signature of {shown(signature.name)} is there twice, or its key not stated', 'SIGNATURE_UNKNOWN')
            left.discard(line); unused.discard(line)
    if unused: raise ProofError('a key is stated that has not signed', 'SIGNATURE_UNKNOWN')
# core.proof_words: What a checked file shows and what it does not, in sentences for people, and as members for programs
NO_KEY = 'Whose log this is: no trusted key was brought along, and anybody can make a file that agrees with itself.'
TRUE_ENTRY = 'That what an entry says is true.'
ONE_LOG = 'That everybody is shown this same log: compare the checkpoint with the one that others hold.'
NOT_RECORDED = 'That all that happened was recorded: receipts, egress counts and planted items look for that.'
TRUE_INDEX = 'That the index which the log signed is the true one: auditors and monitors find out, who replay the log.'
def tell_shown(file):  # What file shows
    proven, checkpoint = file.proven, file.proven.checkpoint.checkpoint
    where = f'the log {checkpoint.origin} of {checkpoint.size} entries (root {checkpoint.root.hex()})'
    if isinstance(proven, CheckedEntry): return [f'Entry {proven.index} of {where} is exactly this one: {proven.entry.decode()}']
    if isinstance(proven, CheckedConsistency):
        signed = 'which its key signed, too' if proven.is_old_signed else 'which is to be compared with one that is known'
        return [f'The first {proven.old.size} entries of {where} are those with the root {proven.old.root.hex()}, {signed}.']
    opened = [f'{item.field} of entry {item.seq} commits to {item.value!a}.' for item in proven.openings]
    return [f'Of the first {proven.map_size} entries of {where}, {_counted(proven)}.', *opened]
def tell_limits(file):  # What file does not show
    unknown = [] if file.is_trusted else [NO_KEY]
    if not isinstance(file.proven, CheckedCompleteness): return [*unknown, TRUE_ENTRY, ONE_LOG]
    return [*unknown, f'Anything from entry {file.proven.map_size} on.', NOT_RECORDED, TRUE_INDEX, ONE_LOG]
def key_in_words(key):  # Whom the index key key is about
    family, _, name = key.partition(':')
    if family == 'pair': return 'the account {} together with the developer {}'.format(*name.split(':', 1))
    return {'acct': 'the account ', 'subj': 'the person ', 'dev': 'the developer '}[family] + name
def _counted(proven):
    about = key_in_words(proven.key)
    if proven.count == 0: return f'none concerns {about}: nothing is recorded about that, no grant and no delivery'
    last = proven.first + len(proven.entries)
    shown = 'all of them are' if len(proven.entries) == proven.count else f'number {proven.first + 1} to {last} of them are'
    return f'exactly {proven.count} concern {about}; {shown} in this file, none left out, none changed'
# portable.ed25519: Ed25519 signatures verified with the standard library alone (RFC 8032, section 5.1.7)
P = 2 ** 255 - 19; ORDER = 2 ** 252 + 27742317777372353535851937790883648493; D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P); BASE_X = 15112221349535400772501151409588531511454012693041857206046113283949847762202
BASE_Y = 46316835694926478169428394003475163141307993866256225615783033603165251855960; BASE = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)
NEUTRAL = (0, 1, 1, 0)
def verify_ed25519(public_key, message, signature):  # Whether signature (64 bytes) is that of public_key (32 bytes) for message
    if len(public_key) != 32 or len(signature) != 64: return False
    point = decode_point(public_key); scalar = int.from_bytes(signature[32:], 'little')
    if point is None or decode_point(signature[:32]) is None or scalar >= ORDER: return False
    digest = hashlib.sha512(signature[:32] + public_key + message).digest(); challenge = int.from_bytes(digest, 'little') % ORDER
    x, y, z, t = point; return encode_point(add_multiples(scalar, BASE, challenge, (P - x, y, z, P - t))) == signature[:32]
def decode_point(data):  # The point that 32 bytes encode
    number = int.from_bytes(data, 'little'); y, sign = number & (1 << 255) - 1, number >> 255
    if y >= P: return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P; x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P != u: x = x * ROOT_OF_MINUS_ONE % P
    if v * x * x % P != u or (x == 0 and sign): return None
    if x & 1 != sign: x = P - x
    return (x, y, 1, x * y % P)
def encode_point(point):  # The 32 bytes of point
    x, y, z, _ = point; inverse = pow(z, P - 2, P); return (y * inverse % P | (x * inverse % P & 1) << 255).to_bytes(32, 'little')
def add_points(one, other):  # The sum of two points, equal ones included (RFC 8032, section 5.1.4)
    a = (one[1] - one[0]) * (other[1] - other[0]) % P; b = (one[1] + one[0]) * (other[1] + other[0]) % P; c = 2 * one[3] * other[3] * D % P
    d = 2 * one[2] * other[2] % P; e, f, g, h = b - a, d - c, d + c, b + a; return (e * f % P, g * h % P, f * g % P, e * h % P)
def add_multiples(one, point, other, second):  # one * point + other * second, both multiplied in one pass over the bits
    table = (NEUTRAL, point, second, add_points(point, second)); total = NEUTRAL
    for place in range(max(one.bit_length(), other.bit_length()) - 1, -1, -1):
        total = add_points(total, total); total = add_points(total, table[one >> place & 1 | (other >> place & 1) << 1])
    return total
# portable.command: The command of the portable checker: what it is given, what it prints, how it ends
STATUSES = 'Exit status: 0 proven, 1 not proven (the message begins with a code), 2 bad usage.'
def main():  # Check the file that the arguments name
    parser = argparse.ArgumentParser(prog='verify.py', description='Check a proof of a grantledger log.', epilog=STATUSES)
    parser.add_argument('file', metavar='FILE', help='a .tlog-proof, a bundle, or the directory of an export; - is standard input')
    parser.add_argument('--vkey', help="the log's key, or a file with it; get it from somewhere else than the proof")
    parser.add_argument('--key', help='the index key that the bundle has to be about, such as acct:a_...')
    parser.add_argument('--entry', metavar='FILE', help='the bytes of the entry that a .tlog-proof has to be about')
    parser.add_argument('--cosigner', metavar='KEY', action='append', help='the key of a witness that must have cosigned, or its file')
    asked = parser.parse_args()
    try:
        entry = read_file(asked.entry) if asked.entry else None; vkey = read_vkey(asked.vkey) if asked.vkey else None
        if os.path.isdir(asked.file): return check_export(asked.file, vkey)
        known = Known(vkey, asked.key, entry, tuple(map(read_vkey, asked.cosigner or ())))
        checked = check_proof_file(read_file(asked.file), known, verify_ed25519)
    except (UsageError, OSError) as error: sys.stderr.write(escape(f'error: {error}\n')); return 2
    except LedgerError as error: sys.stdout.write(escape(f'NOT PROVEN: {code_of(error)}: {error}\n')); return 1
    verdict = 'PROVEN' if checked.is_trusted else 'NOT CHECKED AGAINST A TRUSTED KEY, only self-consistent'
    lines = [verdict, 'This shows:', *tell_shown(checked), 'It does not show:', *tell_limits(checked)]
    sys.stdout.write(escape('\n'.join(lines) + '\n')); return 0
def check_export(name, vkey):  # Check the export in the directory name by verify_bag.py, which lies beside this file
    sys.dont_write_bytecode = True; sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    try: return int(import_module('verify_bag').check_directory(name, vkey))
    except ImportError: raise UsageError('exports are checked by verify_bag.py, which has to lie beside this file') from None
def read_file(name):  # The bytes of the file name, one too many of a file that is too long
    if name == '-': return sys.stdin.buffer.read(FILE_BYTES_MAX + 1)
    with open(name, 'rb') as opened: return opened.read(FILE_BYTES_MAX + 1)
def read_vkey(text): is_file = os.path.exists(text); return read_file(text).decode('utf-8', 'replace').strip() if is_file else text
def escape(text): return ''.join((char if ' ' <= char <= '~' or char == '\n' else ascii(char)[1:-1] for char in text))
if __name__ == '__main__': sys.exit(main())
