"""Checks exports of a grantledger log; verify.py beside it uses this when it is given a directory: python3 verify.py DIR

Made from grantledger's core by its `scripts/portable`. Apache-2.0, the grantledger authors. Formats: its docs/exports.md.
"""
import hashlib, hmac, json, os, re, stat, struct, sys
from collections import namedtuple; from datetime import datetime; from datetime import timedelta; from hashlib import sha256
from itertools import islice

from verify import (
    CosignerKey, DEPTH_MAX, EMPTY_ROOT, ENTRY, ENTRY_BYTES_MAX, FormatError, HASH, HASH_BYTES, INTEGER_MAX, KeyRow, LedgerError, LogKey,
    MAP_PROOF, OPENING, Opening, ProofError, ROW, SealedIndex, SignatureError, _ENCODER, _map_proof_of, _new_node, _read_seal, check_inclusion,
    check_map_proof, check_openings, code_of, decode, decode_base64, decode_file, decode_utf8, encode_base64, encode_file, encode_utf8, escape,
    hash_leaf, hash_node, index_keys, key_leaf_hash, leaf_hash, open_checkpoint, parse_hex, parse_lines, parse_tlog_proof, parse_vkey,
    read_shape, refused_as, shown, verify_ed25519
)

# core.canonical: Canonical bytes of a JSON object (ledger format, section 1.1): RFC 8785 restricted until nothing is left to choose
def encode(value):  # The canonical bytes of the object value
    if type(value) is not dict: raise FormatError('the outermost value is not an object')
    _check_values(value); text = _ENCODER.encode(value)
    if '\\' in text or '\x7f' in text: raise FormatError('a string holds a character that is not printable ASCII, or is " or \\')
    if len(text) > ENTRY_BYTES_MAX: raise FormatError(f'the object has {len(text)} bytes; {ENTRY_BYTES_MAX} are allowed')
    return text.encode('ascii')
def _check_values(value):  # Raise FormatError where a value's type, range or depth has no canonical form
    level = [value]
    for _ in range(DEPTH_MAX):
        deeper = []
        for container in level:
            if type(container) is dict:
                for key in container:
                    if type(key) is not str: raise FormatError('a key is not a string')
                items = list(container.values())
            else: assert type(container) is list; items = container
            for item in items:
                if type(item) is str or type(item) is bool: continue
                if type(item) is int:
                    if not -INTEGER_MAX <= item <= INTEGER_MAX: raise FormatError('an integer is not within 2^53')
                elif type(item) is dict or type(item) is list: deeper.append(item)
                else: raise FormatError(f'a value is of type {type(item).__name__}, which has no canonical form')
        if not deeper: return
        if len(deeper) > ENTRY_BYTES_MAX: raise FormatError(f'there are more than {ENTRY_BYTES_MAX} objects and arrays')
        level = deeper
    raise FormatError(f'there are more than {DEPTH_MAX} levels')
# core.merkle: The Merkle tree of RFC 6962 and its proofs (RFC 9162, section 2.1
_iter_pairs = struct.Struct('64s').iter_unpack; _CHUNK_LEVEL_MAX = 12
def hash_pairs(hashes):  # The level above a level of the tree: both as joined 32-byte hashes, an even number of them below
    new_node = _new_node; above = []
    for pair, in _iter_pairs(hashes): state = new_node(); state.update(pair); above.append(state.digest())
    return b''.join(above)
def root_of_full(hashes):  # The root over joined 32-byte hashes whose number is a power of two
    count, rest = divmod(len(hashes), HASH_BYTES); assert rest == 0; assert bin(count).count('1') == 1
    for _ in range(count.bit_length() - 1): hashes = hash_pairs(hashes)
    return hashes
class Frontier:  # The roots of the full subtrees that make up a tree (its *peaks*): enough to append and to root
    def __init__(self): self._size = 0; self._peaks = []  # The frontier of the empty tree
    @classmethod
    def from_peaks(cls, size, peaks):  # The frontier of a tree of size leaves with these peaks, the largest first
        if not 0 <= size <= INTEGER_MAX or len(peaks) != bin(size).count('1'):
            raise FormatError(f'{len(peaks)} peaks do not make up a tree of size {size}')
        if any((len(peak) != HASH_BYTES for peak in peaks)): raise FormatError('a peak is not 32 bytes long')
        frontier = cls(); frontier._size = size; frontier._peaks = list(peaks); return frontier
    @property
    def size(self): return self._size  # How many leaves the tree has
    def copy(self): return Frontier.from_peaks(self._size, self._peaks)  # Another frontier of the same tree, which grows on its own
    def append(self, leaf_hash): assert len(leaf_hash) == HASH_BYTES; self.append_subtree(0, leaf_hash)  # Add one leaf by its 32-byte hash
    def extend(self, leaf_hashes):  # Add leaves by their 32-byte hashes, streaming, about as fast as :meth:`extend_joined`
        iterator = iter(leaf_hashes)
        while batch := list(islice(iterator, 1 << _CHUNK_LEVEL_MAX)): self.extend_joined(b''.join(batch))
    def extend_joined(self, leaf_hashes):  # Add leaves by their hashes joined to one string of bytes: the fastest way for many
        count, rest = divmod(len(leaf_hashes), HASH_BYTES); assert rest == 0; start = 0
        while start < count:
            level = min(_CHUNK_LEVEL_MAX, (count - start).bit_length() - 1)
            if self._size: level = min(level, (self._size & -self._size).bit_length() - 1)
            end = start + (1 << level); self.append_subtree(level, root_of_full(leaf_hashes[start * HASH_BYTES:end * HASH_BYTES])); start = end
    def root(self): return _merkle_fold(self._peaks) if self._peaks else EMPTY_ROOT  # The root of the tree
    def append_subtree(self, level, subtree_root):  # Add a full subtree of 2^level leaves by its 32-byte root
        assert self._size & (1 << level) - 1 == 0; carry = self._size >> level; self._size += 1 << level
        while carry & 1: subtree_root = hash_node(self._peaks.pop(), subtree_root); carry >>= 1
        self._peaks.append(subtree_root)
NodeId = namedtuple('NodeId', 'level index')  # The root of the full subtree D[index * 2^level : (index + 1) * 2^level]
def _merkle_fold(hashes):  # The hash over full subtrees of descending size
    folded = hashes[-1]
    for left in reversed(hashes[:-1]): folded = hash_node(left, folded)
    return folded
# core.export_filter: Which entries an export, a table or a stream is about (exports, section 5.5)
FILTER = {'accounts?': [str], 'developers?': [str], 'pairs?': [str], 'incident?': str, 'kinds?': [str], 'at_from?': int, 'at_to?': int,
        'recorded_from?': int, 'recorded_to?': int, 'seq_from?': int, 'seq_to?': int}
Filter = namedtuple('Filter', 'accounts developers pairs incident kinds at_from ' 'at_to recorded_from recorded_to seq_from seq_to',
        defaults=[None, None, None, None, None, None, None, None, None, None, None])
def keys_of(wanted):  # The index keys that wanted asks for, ascending
    keys = {f'{family}:{tag}' for tag in wanted.accounts or () for family in ('acct', 'subj')}
    keys.update([f'dev:{developer}' for developer in wanted.developers or ()]); keys.update([f'pair:{pair}' for pair in wanted.pairs or ()])
    return sorted(keys)
def is_narrowed(wanted):  # Whether wanted may leave out entries that carry a key which it asks for
    bounds = (wanted.kinds, wanted.at_from, wanted.at_to, wanted.recorded_from, wanted.recorded_to)
    return any((bound is not None for bound in (*bounds, wanted.seq_from, wanted.seq_to)))
def stretch_of(wanted, tree_size):  # The entries of the first tree_size that wanted selects, where nothing but their numbers decides
    bounds = (wanted.kinds, wanted.at_from, wanted.at_to, wanted.recorded_from, wanted.recorded_to)
    if keys_of(wanted) or wanted.incident is not None or any((bound is not None for bound in bounds)): return None
    end = tree_size if wanted.seq_to is None else min(tree_size, wanted.seq_to)
    return range(wanted.seq_from or 0, max(wanted.seq_from or 0, end))
def is_within(wanted, members):  # Whether the entry with members is within the bounds of wanted, whatever it is about
    if wanted.kinds is not None and members.get('kind') not in wanted.kinds: return False
    return _is_between(members.get('seq'), wanted.seq_from, wanted.seq_to) and _is_between(members.get('at'), wanted.at_from,
            wanted.at_to) and _is_between(members.get('recorded_at'), wanted.recorded_from, wanted.recorded_to)
def is_about(wanted, keys, members):  # Whether the entry with members is about what wanted asks for, whose keys are :func:`keys_of`
    if wanted.incident is not None and members.get('incident') == wanted.incident: return True
    if not keys: return wanted.incident is None
    return not keys.isdisjoint(index_keys(members))
def format_filter(wanted):  # The JSON object of wanted, without what is not asked for
    formatted = {}
    for name in FILTER:
        value = getattr(wanted, name.rstrip('?'))
        if value is not None: formatted[name.rstrip('?')] = list(value) if isinstance(value, tuple) else value
    return formatted
def _is_between(value, low, high):
    if low is None and high is None: return True
    return type(value) is int and (low is None or low <= value) and (high is None or value < high)
# core.bag: What an export holds and how its parts are bound together (exports, section 5.5)
MANIFEST = 'data/export.json'; SIGNATURE = 'data/export.dsse.json'; CUSTODY = 'data/custody/custody.jsonl'
ENTRIES = 'data/ledger/entries.jsonl'; TABLE = 'data/ledger/entries.csv'; FINDINGS = 'data/findings/findings.jsonl'
TIMELINE = 'data/grants/timeline.jsonl'; CHECKPOINT = 'data/proofs/checkpoint'; INCLUSION = 'data/proofs/inclusion.jsonl'
INDEX = 'data/proofs/index.jsonl'; OPENINGS = 'data/openings/openings.jsonl'; REDACTIONS = 'data/openings/redactions.jsonl'
BAG_TAGS = ('bag-info.txt', 'bagit.txt', 'manifest-sha256.txt'); TAG_MANIFEST = 'tagmanifest-sha256.txt'
UNLISTED = (MANIFEST, SIGNATURE, CUSTODY); DECLARATION = b'BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n'
STATEMENT_TYPE = 'application/vnd.grantledger.export.v1+json'; EACH, TOGETHER = 'each', 'together'; COMPLETE, COUNTED = 'complete', 'counted'
COMMITTED = ('commitment', 'document', 'evidence_given', 'identity', 'payload', 'reasons_for_delay', 'request', 'text')
_SPAN = {'first': int, 'last': int}
EXPORT = {'v': int, 'export': str, 'origin': str, 'vkey': str, 'cosigners': [str], 'rule_set': str, 'rule_set_sha256': HASH, 'requester': str,
        'case': str, 'legal_basis': str, 'salt': HASH, 'created_by': str, 'created_at': int, 'filter': FILTER, 'redaction': str,
        'recipients': [str], 'tree_size': int, 'root': HASH, 'checkpoint': str, 'at?': _SPAN, 'recorded_at?': _SPAN, 'entries': int,
        'proofs': str, 'kinds': [{'kind': str, 'count': int}], 'keys': [{'key': str, 'claim': str, 'recorded': int, 'shown': int}],
        'files': [{'path': str, 'bytes': int, 'rows?': int, 'sha256': HASH}]}
STATEMENT = {'approved_by': str, 'custody': HASH, 'export': str, 'manifest': HASH, 'requested_by': str}
_match_commitment = re.compile('[0-9a-f]{64}').fullmatch
def read_manifest(data):  # The manifest whose file is exactly data, with its filter as a :class:`Filter`
    read = read_shape(decode_file(data), EXPORT, 'export.json')
    if read['v'] != 1 or read['proofs'] not in (EACH, TOGETHER): raise FormatError('export.json is of a version that is not known here')
    read['filter'] = Filter(**read['filter']); return read
def hash_query(formatted): return sha256(encode(dict(formatted))).digest()  # The SHA-256 that stands for a filter in the entry of a request
def commit_request(salt, requester, case, legal_basis):  # The commitment that stands for who asked, and what for, in the entry of a request
    told = {'case': case, 'legal_basis': legal_basis, 'requester': requester}; return hmac.new(salt, encode_file(told), 'sha256').hexdigest()
def committed_fields(members):  # Where commitments stand in the entry with members, ascending
    fields = [name for name in COMMITTED if name in members and _is_commitment(members[name])]; evidence = members.get('evidence')
    if isinstance(evidence, dict) and _is_commitment(evidence.get('request')): return sorted([*fields, 'evidence.request'])
    return fields
def format_hashes(hashes): return ''.join((f'{hashes[path].hex()}  {path}\n' for path in sorted(hashes))).encode()  # A manifest of BagIt
def parse_hashes(data):  # The SHA-256 of files by their names, as :func:`format_hashes` writes them
    hashes = {}
    for line in parse_lines(decode_utf8(data)): text, _, path = line.partition('  '); hashes[path] = parse_hex(text, 32)
    if format_hashes(hashes) != data: raise FormatError('a list of hashes of the bag is not in order')
    return hashes
def format_info(manifest, sizes_bytes):  # bag-info.txt of the export with this manifest, whose files below data/ have these sizes
    told = {'Bag-Software-Agent': 'grantledger', 'External-Identifier': manifest['export'],
            'External-Description': f"Export of the log {manifest['origin']}", 'Internal-Sender-Identifier': manifest['case'],
            'Payload-Oxum': f'{sum(sizes_bytes)}.{len(sizes_bytes)}'}
    lines = [name + ': ' + ' '.join(value.splitlines()) + '\n' for name, value in told.items()]; return encode_utf8(''.join(lines))
def _is_commitment(value): return isinstance(value, str) and _match_commitment(value) is not None
# core.bag_lists: Lists that entries commit to and do not hold: an incident's finding set, what a developer has to delete (section 5.5)
FINDING_SET = 'data/incident/findings.jsonl'; OBLIGATIONS, LIST = 'data/obligations/', '.list.jsonl'
class StatedLists:  # The roots that entries state as they go by
    def __init__(self): self._roots = {}
    def add(self, wanted, members):  # Take note of the entry with members, where it is about the incident that wanted asks for
        if wanted.incident is None or members.get('incident') != wanted.incident: return
        if members.get('kind') == 'incident.assessed': self._roots[FINDING_SET] = members.get('findings_root')
        elif members.get('kind') == 'obligation.opened':
            self._roots[f"{OBLIGATIONS}{members.get('obligation')}{LIST}"] = members.get('list_root')
    def check(self, path, lines, wanted):  # Raise ProofError where path is such a list, and its lines are not those that an entry states
        if path != FINDING_SET and (not (path.startswith(OBLIGATIONS) and path.endswith(LIST))): return
        stated = self._roots.get(path)
        if stated is None and is_narrowed(wanted): return
        tree = Frontier()
        for line in lines: tree.append_subtree(0, hash_leaf(line))
        if stated != tree.root().hex(): raise ProofError(f'{path} is not the list that an entry states the root of', 'VIEW_MISMATCH')
# core.cells: Cells of a table as text that a spreadsheet shows and does not run (RFC 4180
_match_formula = re.compile('[ ]*[=+@\t\r\n-]').match; _insert_inside = re.compile('([;\t\r\n][ ]*)(?=[=+@-])').sub
_search_odd = re.compile('^[ ]*[=+@\t\r\n-]|[",;\t\r\n]').search; _search_special = re.compile('[",;\t\r\n]').search
def safe_cell(value):  # value as the text of a cell that is no formula
    if value is None: return ''
    if isinstance(value, int) and (not isinstance(value, bool)): return str(value)
    text = str(value); inside = _insert_inside("\\1'", text) if _search_special(text) else text
    return f"'{inside}" if _match_formula(text) else inside
def format_row(values): return ','.join(['' if value is None else _format_cell(value) for value in values])
def _format_cell(value):
    if type(value) is str and (not _search_odd(value)): return value
    cell = safe_cell(value); return '"' + cell.replace('"', '""') + '"' if _search_special(cell) else cell
# core.flat: Entries as rows of flat tables, in which nothing is left out (exports, section 5.5)
TEXT_COLUMNS = ('kind', 'uid', 'actor', 'via', 'account', 'developer', 'app', 'environment', 'endpoint', 'grant', 'subscription', 'delivery',
        'attempt', 'event', 'event_type', 'scope', 'private', 'channel', 'status', 'disclosure', 'by', 'worker', 'code', 'severity', 'reason',
        'incident', 'notice', 'obligation', 'export')
TIME_COLUMNS = ('at', 'recorded_at', 'started_at', 'ended_at', 'expires_at'); LIST_COLUMNS = ('subjects', 'scopes')
OBSERVED_COLUMNS = ('host', 'port', 'path', 'sni', 'peer_ip', 'spki_sha256', 'signing_app')
RECEIVED_COLUMNS = ('developer', 'app', 'environment', 'endpoint')
COLUMNS = ('seq', *[f'{name}_utc' for name in TIME_COLUMNS], *TEXT_COLUMNS, *LIST_COLUMNS, *[f'observed_{name}' for name in OBSERVED_COLUMNS],
        *[f'received_by_{name}' for name in RECEIVED_COLUMNS], *[f'{name}_ms' for name in TIME_COLUMNS], 'leaf_hash', 'prev', 'other')
_OWN = frozenset(('v', 'seq', 'prev', *TEXT_COLUMNS, *TIME_COLUMNS, *LIST_COLUMNS)); _EPOCH = datetime(1970, 1, 1)
_encode = json.JSONEncoder(sort_keys=True, separators=(',', ':')).encode
def format_instant(at_ms):  # Milliseconds since 1970 in RFC 3339, None for what is no instant of a calendar
    if type(at_ms) is not int: return None
    try: moment = _EPOCH + timedelta(milliseconds=at_ms)
    except OverflowError: return None
    return moment.isoformat(timespec='milliseconds') + 'Z'
def flat_values(members, leaf_hash):  # The values of an entry under the heading :data:`COLUMNS`: texts, integers and None
    other = {name: value for name, value in members.items() if name not in _OWN}; observed = _nested(other, 'observed', OBSERVED_COLUMNS)
    received = _nested(other, 'received_by', RECEIVED_COLUMNS); times = [members.get(name) for name in TIME_COLUMNS]
    texts = [_text(members.get(name)) for name in TEXT_COLUMNS]; lists = [_listed(members.get(name)) for name in LIST_COLUMNS]
    rest = [leaf_hash, _text(members.get('prev')), _encode(other) if other else None]; instants = [format_instant(value) for value in times]
    stamps = [_text(value) for value in times]
    return [_text(members.get('seq')), *instants, *texts, *lists, *observed, *received, *stamps, *rest]
def entry_row(members, leaf_hash): return format_row(flat_values(members, leaf_hash))  # The row of an entry in the table with the heading :data
def finding_line(members):  # The line of a recorded finding
    if members.get('kind') != 'finding.recorded': return None
    return _encode({name: value for name, value in members.items() if name not in ('prev', 'v', 'uid', 'via')})
def timeline_line(members):  # The line of a change to a grant or a subscription
    if not str(members.get('kind')).startswith(('grant.', 'subscription.')): return None
    return _encode({name: value for name, value in members.items() if name not in ('prev', 'v', 'uid', 'via')})
def _text(value): return value if value is None or type(value) in (str, int) else _encode(value)  # value as it stands in a cell
def _listed(value):
    if isinstance(value, list) and all((isinstance(item, str) and ' ' not in item for item in value)): return ' '.join(value)
    return _text(value)
def _nested(other, name, columns):  # The cells of the object name, taken out of other where the columns hold all of it
    value = other.get(name)
    if not isinstance(value, dict) or set(value) - set(columns): return [None] * len(columns)
    del other[name]; return [_text(value.get(column)) for column in columns]
# core.selection: That many entries stand in a tree, shown for all of them at once (RFC 6962 trees
def plan_gap(start, end):  # The full subtrees that make up the leaves [start, end), from left to right
    nodes = []
    while start < end:
        level = (end - start).bit_length() - 1
        if start: level = min(level, (start & -start).bit_length() - 1)
        nodes.append(NodeId(level, start >> level)); start += 1 << level
    return nodes
class SelectionFold:  # Folds shown entries and the subtrees between them into the root of the whole tree, in order, as they come
    def __init__(self): self._tree = Frontier(); self.end = 0  # Nothing is folded yet
    def add_leaf(self, leaf_hash): self._tree.append_subtree(0, leaf_hash); self.end += 1  # Add the shown entry at :attr:`end` by its leaf hash
    def add_subtree(self, node, subtree_root):  # Add the subtree node of :func:`plan_gap`, which begins at :attr:`end`
        if len(subtree_root) != HASH_BYTES: raise ProofError('a hash is not 32 bytes long', 'INCLUSION_INVALID')
        self._tree.append_subtree(node.level, subtree_root); self.end += 1 << node.level
    def root(self): return self._tree.root()  # The root over everything that was added
# core.bag_entries: The entries of an export, read once in order: their places, the index keys, the views, the openings (exports, section 5.5)
SUBTREE = {'first': int, 'level': int, 'hash': HASH}; SINGLE = {'seq': int, 'proof': str}; REDACTION = {'seq': int, 'field': str, 'reason': str}
class KeyCount:  # The entries of one index key as they go by: how many, the last one, their tree
    def __init__(self): self.count = 0; self.last_seq = 0; self.tree = Frontier()
    def add(self, seq, leaf_hash): self.count += 1; self.last_seq = seq; self.tree.append_subtree(0, key_leaf_hash(seq, leaf_hash))
class ExpectedLines:  # A file whose lines are known beforehand, one by one
    def __init__(self, lines, what): self._lines = lines; self._what = what
    def expect(self, line):  # Raise ProofError unless line is the next one
        if next(self._lines, None) != line.encode(): raise ProofError(f'{self._what} does not say what the entries say', 'VIEW_MISMATCH')
    def expect_end(self):  # Raise ProofError where there are more lines
        if next(self._lines, None) is not None: raise ProofError(f'{self._what} has more than the entries say', 'VIEW_MISMATCH')
class LinesBySeq:  # JSON lines about entries, in order of seq
    def __init__(self, lines, shape, what): self._lines = lines; self._shape = shape; self._what = what; self._next = None; self._advance()
    def take(self, seq):  # The lines about the entry seq
        taken = []
        while self._next is not None and self._next['seq'] <= seq:
            if self._next['seq'] < seq: raise ProofError(f'{self._what} is about an entry that is not here', 'OPENING_MISPLACED')
            taken.append(self._next); self._advance()
        return taken
    def expect_end(self):  # Raise ProofError where there are lines left
        if self._next is not None: raise ProofError(f'{self._what} is about an entry that is not here', 'OPENING_MISPLACED')
    def _advance(self):
        line = next(self._lines, None); self._next = None if line is None else read_shape(decode_file(line), self._shape, self._what)
class EntriesCheck:  # Checks the entries of an export against its manifest (as read) and its opened checkpoint, in one pass
    def __init__(self, manifest, checkpoint, note, map_size, inclusion, views, openings, redactions):
        self._filter = manifest['filter']; self._checkpoint = checkpoint; self._note = note; self._map_size = map_size
        self._inclusion = inclusion; self._is_each = manifest['proofs'] == EACH; self._fold = SelectionFold(); table, findings, timeline = views
        self._table = ExpectedLines(table, 'entries.csv'); self._findings = ExpectedLines(findings, 'findings.jsonl')
        self._timeline = ExpectedLines(timeline, 'timeline.jsonl'); self._openings = LinesBySeq(openings, OPENING, 'openings.jsonl')
        self._redactions = LinesBySeq(redactions, REDACTION, 'redactions.jsonl'); self._wanted = frozenset(keys_of(self._filter))
        self.keys = {key: KeyCount() for key in self._wanted}; self.count = 0; self.first_seq = 0; self.last_seq = -1; self.kinds = {}
        self.spans = {}; self.lists = StatedLists()
    def run(self, entries):  # Check all of entries, their canonical bytes
        self._table.expect(','.join(COLUMNS))
        for data in entries: self._check(data)
        if not self._is_each:
            self._fold_gap(self._checkpoint.size)
            if self._fold.root() != self._checkpoint.root:
                raise ProofError('the entries do not lead to the root of the checkpoint', 'INCLUSION_INVALID')
        if next(self._inclusion, None) is not None: raise ProofError('inclusion.jsonl has more than the entries need', 'INCLUSION_INVALID')
        for rest in (self._table, self._findings, self._timeline, self._openings, self._redactions): rest.expect_end()
    def _check(self, data):
        members, leaf = decode(data), hash_leaf(data); seq = members.get('seq')
        if type(seq) is not int or not self.last_seq < seq < self._checkpoint.size:
            raise ProofError('an entry is out of order, or states no place in the log', 'ENTRY_MISPLACED')
        self._prove(seq, leaf, data); self._count(seq, members, leaf); self._table.expect(entry_row(members, leaf.hex())); 
        views = ((self._findings, finding_line), (self._timeline, timeline_line))
        for lines, view in views:
            line = view(members)
            if line is not None: lines.expect(line)
        self._check_commitments(seq, members, data); self.last_seq = seq
    def _prove(self, seq, leaf, data):
        if not self._is_each: self._fold_gap(seq); self._fold.add_leaf(leaf); return
        line = read_shape(decode_file(next(self._inclusion, b'')), SINGLE, 'inclusion.jsonl'); proof = parse_tlog_proof(line['proof'].encode())
        if line['seq'] != seq or proof.index != seq or proof.checkpoint != self._note or (proof.extra != data):
            raise ProofError(f"the proof of entry {seq} is another one's", 'INCLUSION_INVALID')
        check_inclusion(proof.hashes, seq, self._checkpoint.size, leaf, self._checkpoint.root)
    def _fold_gap(self, end):
        for node in plan_gap(self._fold.end, end):
            line = read_shape(decode_file(next(self._inclusion, b'')), SUBTREE, 'inclusion.jsonl')
            if (line['first'], line['level']) != (self._fold.end, node.level):
                raise ProofError('inclusion.jsonl does not fit the entries', 'INCLUSION_INVALID')
            self._fold.add_subtree(node, line['hash'])
    def _count(self, seq, members, leaf):
        if self.count == 0: self.first_seq = seq
        self.count += 1; kind = str(members.get('kind')); self.kinds[kind] = self.kinds.get(kind, 0) + 1; note_spans(self.spans, members)
        self.lists.add(self._filter, members)
        if not is_within(self._filter, members): raise ProofError(f'entry {seq} is not one that the filter selects', 'NOT_SELECTED')
        is_linked = self._filter.incident is not None
        if not is_linked and (not is_about(self._filter, self._wanted, members)):
            raise ProofError(f'entry {seq} is not one that the filter selects', 'NOT_SELECTED')
        if self._wanted and seq < self._map_size:
            for key in index_keys(members):
                if key in self._wanted: self.keys[key].add(seq, leaf)
    def _check_commitments(self, seq, members, data):
        opened, withheld = self._openings.take(seq), self._redactions.take(seq)
        check_openings([Opening(**line) for line in opened], {seq: data}); fields = sorted([line['field'] for line in (*opened, *withheld)])
        if fields != committed_fields(members):
            raise ProofError(f'a commitment of entry {seq} is neither opened nor listed as withheld, or both', 'OPENING_MISSING')
def note_spans(spans, members):  # Widen spans so that they hold the instants of members: at and recorded_at, each first and last
    for name in ('at', 'recorded_at'):
        value = members.get(name)
        if type(value) is not int or value < 0: continue
        span = spans.setdefault(name, {'first': value, 'last': value})
        span['first'], span['last'] = (min(span['first'], value), max(span['last'], value))
# core.bag_paths: Names of files in an export: relative, plain, and the same file on every system (exports, section 5.5)
PATH_CHARACTERS_MAX = 200; PARTS_MAX = 6; _match_part = re.compile('[A-Za-z0-9_][A-Za-z0-9._-]{0,99}').fullmatch
_match_device = re.compile('(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\\..*)?').fullmatch
def check_path(path):  # path where it can name a file in an export: parts of letters, digits, ., _, -, with / between
    parts = path.split('/')
    if len(path) > PATH_CHARACTERS_MAX or len(parts) > PARTS_MAX:
        raise FormatError(f'{shown(path)} is longer than the name of any file of an export')
    for part in parts:
        if not _match_part(part) or part.endswith('.') or _match_device(part):
            raise FormatError(f'{shown(path)} is not the name of a file of an export')
    return path
def check_paths(paths):  # Raise FormatError unless each of paths is a name, and no two are the same on a system that ignores case
    taken = set()
    for path in paths:
        folded = check_path(path).lower()
        if folded in taken: raise FormatError(f'{shown(path)} is there twice, or under two names that differ in case alone')
        taken.add(folded)
# core.completeness: Completeness bundles: evidence that all that is recorded about a key is shown (ledger format, section 1.4)
def parse_map_proof(members): return _map_proof_of(read_shape(members, MAP_PROOF, 'map_proof'))  # Return the map proof that members write
def parse_row(members): return KeyRow(**read_shape(members, ROW, 'row'))  # Return the row that members write: count, last_seq and key_root
# core.dsse: Envelopes of signed statements: DSSE, with Ed25519 and canonical JSON (https://github.com/secure-systems-lab/dsse)
SIGNATURE_BYTES = 64; _PREFIX = b'DSSEv1'
class Envelope(namedtuple('Envelope', 'payload_type statement signature')):  # A statement of a type, and a signature
    def signed_bytes(self): return pre_auth(self.payload_type, self.statement)  # What the signature is over
def pre_auth(payload_type, statement):  # The bytes that are signed for statement
    payload, kind = encode(dict(statement)), payload_type.encode('ascii')
    return b'%b %d %b %d %b' % (_PREFIX, len(kind), kind, len(payload), payload)
def format_envelope(envelope, key_id):  # The envelope as a JSON object
    return {'payload': encode_base64(encode(envelope.statement)), 'payloadType': envelope.payload_type, 'signatures': [{'keyid': key_id,
            'sig': encode_base64(envelope.signature)}]}
def parse_envelope(stated):  # The envelope in a JSON value
    if not isinstance(stated, dict) or set(stated) != {'payload', 'payloadType', 'signatures'}:
        raise FormatError('an envelope has the members payload, payloadType and signatures')
    payload, kind, signatures = stated['payload'], stated['payloadType'], stated['signatures']
    if not isinstance(payload, str) or not isinstance(kind, str) or (not kind.isascii()):
        raise FormatError('payload and payloadType of an envelope are text')
    if not isinstance(signatures, list) or len(signatures) != 1 or (not isinstance(signatures[0], dict)):
        raise FormatError('an envelope has exactly one signature')
    signed = signatures[0]
    if not set(signed) <= {'keyid', 'sig'} or not isinstance(signed.get('sig'), str):
        raise FormatError('a signature has a sig, and perhaps a keyid')
    signature = decode_base64(signed['sig'])
    if len(signature) != SIGNATURE_BYTES: raise FormatError(f'a signature has {SIGNATURE_BYTES} bytes, not {len(signature)}')
    return Envelope(kind, decode(decode_base64(payload)), signature)
# core.bag_check: Checks an export, with nothing but its files and what its reader brings along (exports, section 5.5)
SEAL_LINE = {'index_sealed': {'entry': ENTRY, 'index': int, 'proof': [HASH]}}; KEY_LINE = {'key': str, 'map_proof': MAP_PROOF, 'row?': ROW}
KnownBag = namedtuple('KnownBag', 'vkey export manifest is_draft', defaults=[None, None, None, False])  # What a reader brings along
CheckedBag = namedtuple('CheckedBag', 'manifest opened map_size is_trusted approved_by is_contiguous first_seq')  # What an export shows
def check_bag(files, known, verify):  # Check the export whose files are files
    manifest, key, approved_by = check_frame(files, known, verify); opened = check_checkpoint(files, manifest, key, verify)
    rows, map_size = read_index(files.lines(INDEX), opened, keys_of(manifest['filter']))
    views = (files.lines(TABLE), files.lines(FINDINGS), files.lines(TIMELINE))
    entries = EntriesCheck(manifest, opened.checkpoint, manifest['checkpoint'].encode(), map_size, files.lines(INCLUSION), views,
            files.lines(OPENINGS), files.lines(REDACTIONS))
    entries.run(files.lines(ENTRIES)); check_claims(manifest, rows, entries)
    for path in sorted(files.digests): entries.lists.check(path, files.lines(path), manifest['filter'])
    is_contiguous = entries.count == entries.last_seq - entries.first_seq + 1
    return CheckedBag(manifest, opened, map_size, known.vkey is not None, approved_by, is_contiguous, entries.first_seq)
def check_frame(files, known, verify):  # The manifest, the log's key and who approved, where every file is the approved one
    check_bagit(files); data = files.read(MANIFEST); manifest = read_manifest(data)
    if known.export is not None and manifest['export'] != known.export:
        raise ProofError(f"this is the export {shown(manifest['export'])}", 'OTHER_EXPORT')
    key = LogKey(parse_vkey(manifest['vkey']), verify)
    if known.vkey is not None and manifest['vkey'] != known.vkey:
        raise ProofError(f"the export is of the log key {shown(manifest['vkey'])}, not of the trusted one", 'KEY_NOT_TRUSTED')
    manifest_hash = sha256(data).digest()
    if known.manifest not in (None, manifest_hash): raise ProofError('export.json is not the one that was asked for', 'MANIFEST_CHANGED')
    approved_by = None if known.is_draft else check_approval(files, manifest, manifest_hash, key); check_listed(files, manifest)
    sizes = [files.digests[path][1] for path in files.digests if path.startswith('data/')]
    if files.read('bag-info.txt') != format_info(manifest, sizes):
        raise ProofError('bag-info.txt says something else than export.json', 'FILE_CHANGED')
    return (manifest, key, approved_by)
def check_bagit(files):  # Raise unless the files are a BagIt 1.0 bag with just the files that it lists, unchanged (RFC 8493, section 3)
    check_paths(files.digests)
    if not set(files.digests).issuperset((*BAG_TAGS, TAG_MANIFEST)) or files.read('bagit.txt') != DECLARATION:
        raise FormatError('this is no BagIt bag of version 1.0')
    tags, payload = parse_hashes(files.read(TAG_MANIFEST)), parse_hashes(files.read('manifest-sha256.txt'))
    if set(tags) != set(BAG_TAGS) or any((not path.startswith('data/') for path in payload)):
        raise FormatError('the bag lists tag files or payload that it cannot have')
    listed = dict(payload, **tags)
    for path in sorted(set(files.digests).symmetric_difference([*listed, TAG_MANIFEST])):
        raise ProofError(f'{shown(path)} is missing, or is not listed', 'FILE_UNLISTED')
    for path in sorted(listed):
        if files.digests[path][0] != listed[path]: raise ProofError(f'{path} was changed', 'FILE_CHANGED')
def check_approval(files, manifest, manifest_hash, key):  # Who approved this manifest
    if SIGNATURE not in files.digests or CUSTODY not in files.digests: raise ProofError('nobody has approved this export', 'NOT_APPROVED')
    data = files.read(SIGNATURE); envelope = parse_envelope(decode_file(data))
    if encode_file(format_envelope(envelope, key.key_id.hex())) != data:
        raise FormatError('export.dsse.json names another key, or is not in the one form that it can have')
    statement = read_shape(envelope.statement, STATEMENT, 'the signed statement')
    if envelope.payload_type != STATEMENT_TYPE or not key.verify(envelope.signed_bytes(), envelope.signature):
        raise SignatureError("the log's key did not sign this export")
    if (statement['manifest'], statement['export']) != (manifest_hash, manifest['export']):
        raise ProofError('export.json is not the one that was approved and signed', 'MANIFEST_CHANGED')
    if statement['custody'] != files.digests[CUSTODY][0]: raise ProofError('custody.jsonl is not the one that was signed', 'CUSTODY_CHANGED')
    entries = [decode(line) for line in files.lines(CUSTODY)]
    if len(entries) < 2: raise ProofError('custody.jsonl does not say who asked and who approved', 'NOT_APPROVED')
    requested, approved = entries[0], entries[1]
    told = {'kind': 'export.requested', 'export': manifest['export'], 'tree_size': manifest['tree_size'],
            'query': hash_query(format_filter(manifest['filter'])).hex(), 'manifest': manifest_hash.hex(),
            'request': commit_request(manifest['salt'], manifest['requester'], manifest['case'], manifest['legal_basis']),
            'actor': manifest['created_by']}
    decided = {'kind': 'export.approved', 'export': manifest['export'], 'manifest': manifest_hash.hex(), 'requested_by': requested.get('actor'),
            'actor': statement['approved_by']}
    for entry, expected in ((requested, told), (approved, decided)):
        for name in sorted(expected):
            if entry.get(name) != expected[name]: raise ProofError(f'custody.jsonl says something else about {name}', 'CUSTODY_CHANGED')
    if requested['actor'] != statement['requested_by'] or requested['actor'] == approved['actor']:
        raise ProofError('the export was not approved by a second person', 'NOT_APPROVED')
    return str(statement['approved_by'])
def check_listed(files, manifest):  # Raise unless the manifest lists just the files below data/, with their sizes and hashes
    listed = {'data/' + item['path']: (item['sha256'], item['bytes']) for item in manifest['files']}
    there = [path for path in files.digests if path.startswith('data/') and path not in UNLISTED]
    if len(listed) != len(manifest['files']) or set(listed) != set(there):
        raise ProofError('export.json lists other files than there are', 'FILE_UNLISTED')
    for path in sorted(listed):
        if files.digests[path] != listed[path]: raise ProofError(f'{path} is not the file that export.json lists', 'FILE_CHANGED')
def check_checkpoint(files, manifest, key, verify):  # The checkpoint, opened
    note = manifest['checkpoint'].encode()
    if files.read(CHECKPOINT) != note: raise ProofError('proofs/checkpoint is not the checkpoint of export.json', 'CHECKPOINT_CHANGED')
    cosigners = [CosignerKey(parse_vkey(text), verify) for text in manifest['cosigners']]
    opened = open_checkpoint(note, manifest['origin'], [key, *cosigners])
    signed = {(line.name, line.key_id) for line in opened.note.verified_signatures}
    named = [(key.name, key.key_id), *[(one.name, one.key_id) for one in cosigners]]
    if signed != set(named): raise ProofError('a cosigner is named that has not cosigned', 'SIGNATURE_UNKNOWN')
    tree = opened.checkpoint
    if (tree.size, tree.root) != (manifest['tree_size'], manifest['root']):
        raise ProofError('export.json is about another tree than its checkpoint', 'CHECKPOINT_CHANGED')
    return opened
def read_index(lines, opened, keys):  # The proven row of each of keys (None for an absent one), and how many entries the index is over
    first = read_shape(decode_file(next(lines, b'')), SEAL_LINE, 'index.jsonl')['index_sealed']
    sealed, tree = SealedIndex(**first), opened.checkpoint
    if sealed.index != tree.size - 1: raise ProofError(f'entry {sealed.index} is not the last entry of {tree.size}', 'SEAL_STALE')
    with refused_as('INCLUSION_INVALID'): check_inclusion(sealed.proof, sealed.index, tree.size, leaf_hash(sealed.entry), tree.root)
    map_size, map_root = _read_seal(sealed); rows = {}
    for line in lines:
        stated = decode_file(line); read_shape(stated, KEY_LINE, 'index.jsonl'); key, row = str(stated['key']), stated.get('row')
        rows[key] = None if row is None else parse_row(as_object(row))
        with refused_as('MAP_PROOF_INVALID'): check_map_proof(key, parse_map_proof(as_object(stated['map_proof'])), rows[key], map_root)
    if sorted(rows) != keys: raise ProofError('index.jsonl is about other keys than the filter', 'INDEX_OMISSION')
    return (rows, map_size)
def check_claims(manifest, rows, entries):  # Raise unless the manifest's counts and claims are those of the entries
    kinds = [{'kind': kind, 'count': entries.kinds[kind]} for kind in sorted(entries.kinds)]
    stated = (list(manifest['kinds']), manifest['entries'], manifest['at'], manifest['recorded_at'])
    if stated != (kinds, entries.count, entries.spans.get('at'), entries.spans.get('recorded_at')):
        raise ProofError('export.json counts other entries than there are', 'COUNTS_WRONG')
    stretch = stretch_of(manifest['filter'], manifest['tree_size'])
    if stretch is not None and entries.count != len(stretch):
        raise ProofError('these are not all entries that the filter selects', 'INDEX_OMISSION')
    claims = {item['key']: item for item in manifest['keys']}
    if sorted(claims) != sorted(rows) or len(claims) != len(manifest['keys']):
        raise ProofError('export.json claims something about other keys', 'COUNTS_WRONG')
    for key in sorted(rows):
        row, seen, claim = rows[key], entries.keys[key], claims[key]; recorded = 0 if row is None else row.count
        if (claim['recorded'], claim['shown']) != (recorded, seen.count):
            raise ProofError(f'export.json counts other entries of {shown(key)} than there are', 'COUNTS_WRONG')
        if claim['claim'] != COMPLETE and is_narrowed(manifest['filter']): continue
        is_whole = seen.count == recorded
        if row is not None and is_whole: is_whole = (seen.last_seq, seen.tree.root()) == (row.last_seq, row.key_root)
        if not is_whole: raise ProofError(f'these are not all entries recorded under {shown(key)}', 'INDEX_OMISSION')
def as_object(value):  # value where it is an object
    if not isinstance(value, dict): raise FormatError('index.jsonl is not what it has to be')
    return value
# portable.bag_files: The files of an export in a directory, for any Python from 3.8 on: walked, hashed and read as they go by
FILES_MAX = 100000; LINE_BYTES_MAX = 1 << 22; READ_BYTES_MAX = 1 << 26; CHUNK_BYTES = 1 << 20
class DirectoryFiles:  # The files below the directory root, each hashed when this is made: :class:`ledger.core.bag_check.Files`
    def __init__(self, root): self._root = root; self.digests = {path: digest_file(os.path.join(root, path)) for path in walk(root)}
    def read(self, path):  # A short file's bytes
        with open_plain(os.path.join(self._root, path)) as opened: data = opened.read(READ_BYTES_MAX + 1)
        if len(data) > READ_BYTES_MAX: raise FormatError(f'{shown(path)} is longer than such a file can be')
        return data
    def lines(self, path):  # A file's lines without their line feeds
        if path not in self.digests: raise FormatError(f'{shown(path)} is not there')
        with open_plain(os.path.join(self._root, path)) as opened:
            while True:
                line = opened.readline(LINE_BYTES_MAX)
                if not line: return
                if not line.endswith(b'\n'): raise FormatError(f'a line of {shown(path)} is too long, or the last one does not end')
                yield line[:-1]
def walk(root):  # The names of all files below root, ascending
    found, waiting = [], ['']
    while waiting:
        below = waiting.pop()
        for entry in os.scandir(os.path.join(root, below) if below else root):
            path = f'{below}/{entry.name}' if below else entry.name; is_link = entry.is_symlink()
            if not is_link and entry.is_dir(follow_symlinks=False) and (path.count('/') < PARTS_MAX): waiting.append(path)
            elif not is_link and entry.is_file(follow_symlinks=False): found.append(check_path(path))
            else: raise FormatError(f'{shown(path)} is neither a plain file nor a plain directory')
            if len(found) + len(waiting) > FILES_MAX: raise FormatError('there are more files than any export has')
    return sorted(found)
def digest_file(name):  # The SHA-256 and the size in bytes of the file name
    made, size = hashlib.sha256(), 0
    with open_plain(name) as opened:
        while True:
            chunk = opened.read(CHUNK_BYTES)
            if not chunk: return (made.digest(), size)
            made.update(chunk); size += len(chunk)
def open_plain(name):  # The file name opened to be read, where it is a plain one and no link to one
    descriptor = os.open(name, os.O_RDONLY | getattr(os, 'O_NOFOLLOW', 0) | getattr(os, 'O_BINARY', 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode): os.close(descriptor); raise FormatError(f'{shown(name)} is no plain file')
    return os.fdopen(descriptor, 'rb')
# portable.bag_command: What the portable checker says about an export: the second of its two files, for directories (exports, section 5.5)
LIMITS = ('That what an entry says is true, or that all that ' 'happened was recorded.', 'That the index which the log signed is the true one: '
        'auditors and monitors find out, who replay the log.', 'That everybody is shown this same log: compare the '
        'checkpoint with the one that others hold.', 'That a filter by kind, time or incident left nothing '
        'out: keys that are counted, and stretches of the ' 'log, show that.', "What others than the log say (the incident's documents, "
        "states of obligations, README): it is what was approved.")
def check_directory(name, vkey):  # Check the export in the directory name under the log key vkey, say what it shows
    try: checked = check_bag(DirectoryFiles(name), KnownBag(vkey), verify_ed25519)
    except OSError as error: sys.stderr.write(escape(f'error: {error}\n')); return 2
    except LedgerError as error: sys.stdout.write(escape(f'NOT PROVEN: {code_of(error)}: {error}\n')); return 1
    verdict = 'PROVEN' if checked.is_trusted else 'NOT CHECKED AGAINST A TRUSTED KEY, only self-consistent'
    lines = [verdict, 'This shows:', *tell_bag(checked), 'It does not show:', *LIMITS]; sys.stdout.write(escape('\n'.join(lines) + '\n'))
    return 0
def tell_bag(checked):  # What the export shows, in sentences
    told, tree = checked.manifest, checked.opened.checkpoint; count = told['entries']
    lines = [f"The export {told['export']} for {shown(told['requester'])}, " f"made by {told['created_by']}.",
            f"Every file is the one that {checked.approved_by} " f"approved and the log's key signed.",
            f'{count} entries stand, to the byte, in the log {tree.origin} ' f'of {tree.size} entries (root {tree.root.hex()}).']
    if checked.is_contiguous and count:
        lines.append(f'They are all entries from {checked.first_seq} to {checked.first_seq + count - 1}, none left out.')
    for item in told['keys']:
        about, recorded, here = item['key'], item['recorded'], item['shown']
        if recorded == here: lines.append(f'Of the first {checked.map_size} entries exactly {recorded} are about {about}, and all are here.')
        else: lines.append(f'Of the first {checked.map_size} entries {recorded} are about {about}; the filter left {here}.')
    lines.append('The tables of entries, findings and grants say what the entries say, line by line.')
    lines.append('Each commitment is opened, and fits, or is listed as withheld.'); return lines
