// Tlog-reader verifies a published log in full: the checkpoint, every tile and every entry.
//
//	tlog-reader DIR VKEY [OLD_CHECKPOINT]
//
// DIR holds a log in the layout of C2SP tlog-tiles: checkpoint, tile/<L>/<N>[.p/<W>], tile/entries/<N>[.p/<W>].
// VKEY is the text of the log's verifier key. OLD_CHECKPOINT is a file with an earlier checkpoint of the same log,
// which the tree in DIR must extend.
//
// Signatures, tree hashes and proofs are those of golang.org/x/mod/sumdb, the code of the Go checksum database; here
// are only the names of the files and the framing of entry bundles. It prints "ok size=... root=..." and exits 0, or
// prints the reason and exits 1.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	height     = 8
	width      = 1 << height
	bundles    = -1 // the level that sumdb gives to tiles of records
	sumdbPlace = "tile/8/"
	c2spPlace  = "tile/"
)

func main() {
	if len(os.Args) != 3 && len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: tlog-reader DIR VKEY [OLD_CHECKPOINT]")
		os.Exit(64)
	}
	old := ""
	if len(os.Args) == 4 {
		old = os.Args[3]
	}
	tree, err := verify(os.Args[1], os.Args[2], old)
	if err != nil {
		fmt.Fprintln(os.Stderr, "tlog-reader:", err)
		os.Exit(1)
	}
	fmt.Printf("ok size=%d root=%s\n", tree.N, tree.Hash)
}

func verify(dir, vkey, oldPath string) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("verifier key: %w", err)
	}
	tree, err := openCheckpoint(filepath.Join(dir, "checkpoint"), verifier)
	if err != nil {
		return tlog.Tree{}, err
	}
	store := &tileStore{dir: dir, upper: map[tlog.Tile][]byte{}}
	reader := tlog.TileHashReader(tree, store)
	if tree.N > 0 {
		root, err := tlog.TreeHash(tree.N, reader)
		if err != nil {
			return tlog.Tree{}, fmt.Errorf("tree hash: %w", err)
		}
		if root != tree.Hash {
			return tlog.Tree{}, fmt.Errorf("root is %s by the tiles, %s by the checkpoint", root, tree.Hash)
		}
	}
	if err := checkTiles(tree, reader); err != nil {
		return tlog.Tree{}, err
	}
	if err := checkFiles(tree, dir, reader); err != nil {
		return tlog.Tree{}, err
	}
	if err := checkEntries(tree, store, reader); err != nil {
		return tlog.Tree{}, err
	}
	if oldPath != "" {
		if err := checkConsistency(tree, oldPath, verifier, reader); err != nil {
			return tlog.Tree{}, err
		}
	}
	return tree, nil
}

// openCheckpoint opens the note in a file, whose text is the origin (the verifier's name), a size and a root.
func openCheckpoint(path string, verifier note.Verifier) (tlog.Tree, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(data, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("%s: %w", path, err)
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return tlog.Tree{}, fmt.Errorf("%s: not three lines", path)
	}
	if lines[0] != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("%s: origin %q is not the key's name %q", path, lines[0], verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return tlog.Tree{}, fmt.Errorf("%s: size %q", path, lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil || root.String() != lines[2] {
		return tlog.Tree{}, fmt.Errorf("%s: root %q", path, lines[2])
	}
	if size == 0 && root != tlog.Hash(sha256.Sum256(nil)) {
		return tlog.Tree{}, fmt.Errorf("%s: root of an empty tree is %s", path, root)
	}
	return tlog.Tree{N: size, Hash: root}, nil
}

// place is the path of a tile in the log's directory; sumdb's own has the height in it and says "data" for entries.
func place(tile tlog.Tile) string {
	path := strings.TrimPrefix(tile.Path(), sumdbPlace)
	if tile.L == bundles {
		path = "entries" + strings.TrimPrefix(path, "data")
	}
	return c2spPlace + path
}

// widthAt is how many hashes (or entries) a tile of this level and number has in a tree of the given size.
func widthAt(size int64, level int, number int64) int {
	count := size
	for ; level > 0; level-- {
		count >>= height
	}
	left := count - number<<height
	switch {
	case left <= 0:
		return 0
	case left > width:
		return width
	}
	return int(left)
}

// tileStore reads tiles from the directory; a partial one that is gone is the beginning of the full one.
type tileStore struct {
	dir   string
	upper map[tlog.Tile][]byte // every tile above level 0 that was read
}

func (s *tileStore) Height() int                     { return height }
func (s *tileStore) SaveTiles([]tlog.Tile, [][]byte) {}

func (s *tileStore) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		if known, ok := s.upper[tile]; ok {
			data[i] = known
			continue
		}
		read, exact, err := s.read(tile)
		if err != nil {
			return nil, err
		}
		want := tile.W * tlog.HashSize
		if len(read) < want || exact && len(read) != want || !exact && len(read) != width*tlog.HashSize {
			return nil, fmt.Errorf("%s: %d bytes", place(tile), len(read))
		}
		data[i] = read[:want]
		if tile.L > 0 {
			s.upper[tile] = data[i]
		}
	}
	return data, nil
}

// read is the tile's file, or the full tile's file with exact false.
func (s *tileStore) read(tile tlog.Tile) (data []byte, exact bool, err error) {
	data, err = os.ReadFile(filepath.Join(s.dir, filepath.FromSlash(place(tile))))
	if err == nil || tile.W == width || !errors.Is(err, fs.ErrNotExist) {
		return data, true, err
	}
	partial := err
	tile.W = width
	if data, err = os.ReadFile(filepath.Join(s.dir, filepath.FromSlash(place(tile)))); err != nil {
		return nil, false, partial
	}
	return data, false, nil
}

// checkTiles reads every tile of the tree, and above level 0 holds each hash against the full tile below it.
//
// sumdb's TileHashReader is to do that as well; the one in x/mod 0.7.0 passes over the first tiles that it reads when
// two of the subtrees that make up the tree lie in one tile, so what it returns is not relied on here.
func checkTiles(tree tlog.Tree, reader tlog.HashReader) error {
	for level := 0; tree.N>>(height*level) > 0; level++ {
		for number := int64(0); ; number++ {
			w := widthAt(tree.N, level, number)
			if w == 0 {
				break
			}
			tile := tlog.Tile{H: height, L: level, N: number, W: w}
			data, err := tlog.ReadTileData(tile, reader)
			if err != nil {
				return fmt.Errorf("%s: %w", place(tile), err)
			}
			for i := 0; level > 0 && i < w; i++ {
				below := tlog.Tile{H: height, L: level - 1, N: number<<height + int64(i), W: width}
				hash, err := hashOfFull(below, reader)
				if err != nil {
					return fmt.Errorf("%s: %w", place(below), err)
				}
				if !bytes.Equal(hash[:], data[i*tlog.HashSize:(i+1)*tlog.HashSize]) {
					return fmt.Errorf("%s: inconsistent tile: not what %s says", place(below), place(tile))
				}
			}
		}
	}
	return nil
}

// hashOfFull is the hash of a full tile, which is a hash of the tile above it.
func hashOfFull(tile tlog.Tile, reader tlog.HashReader) (tlog.Hash, error) {
	data, err := tlog.ReadTileData(tile, reader)
	if err != nil {
		return tlog.Hash{}, err
	}
	var halves [2]tlog.Hash
	for i := range halves {
		index := tlog.StoredHashIndex(height*(tile.L+1)-1, 2*tile.N+int64(i))
		if halves[i], err = tlog.HashFromTile(tile, data, index); err != nil {
			return tlog.Hash{}, err
		}
	}
	return tlog.NodeHash(halves[0], halves[1]), nil
}

// checkFiles holds every hash tile in the directory, left-over partial ones too, against the tree as far as it goes.
func checkFiles(tree tlog.Tree, dir string, reader tlog.HashReader) error {
	root := filepath.Join(dir, "tile")
	if _, err := os.Stat(root); tree.N == 0 && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(entry.Name(), ".") { // a dot: still being written
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if strings.HasPrefix(name, "entries/") {
			name = "data" + strings.TrimPrefix(name, "entries")
		}
		tile, err := tlog.ParseTilePath(sumdbPlace + name)
		if err != nil {
			return fmt.Errorf("tile/%s: not a tile's name", name)
		}
		if tile.L == bundles {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if len(data) != tile.W*tlog.HashSize {
			return fmt.Errorf("%s: %d bytes", place(tile), len(data))
		}
		if w := widthAt(tree.N, tile.L, tile.N); w < tile.W {
			tile.W = w
		}
		if tile.W == 0 {
			return nil
		}
		want, err := tlog.ReadTileData(tile, reader)
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(data, want) {
			return fmt.Errorf("tile/%s: not the tree's hashes", name)
		}
		return nil
	})
}

// checkEntries holds every entry against its leaf hash, and proves the first and the last of each bundle to the root.
func checkEntries(tree tlog.Tree, store *tileStore, reader tlog.HashReader) error {
	for number := int64(0); ; number++ {
		w := widthAt(tree.N, 0, number)
		if w == 0 {
			return nil
		}
		bundle := tlog.Tile{H: height, L: bundles, N: number, W: w}
		data, exact, err := store.read(bundle)
		if err != nil {
			return err
		}
		held := w
		if !exact {
			held = width
		}
		entries, err := splitBundle(data, held)
		if err != nil {
			return fmt.Errorf("%s: %w", place(bundle), err)
		}
		start := number << height
		indexes := make([]int64, w)
		for i := range indexes {
			indexes[i] = tlog.StoredHashIndex(0, start+int64(i))
		}
		leaves, err := reader.ReadHashes(indexes)
		if err != nil {
			return fmt.Errorf("leaf hashes of %s: %w", place(bundle), err)
		}
		for i, leaf := range leaves {
			hash := tlog.RecordHash(entries[i])
			if hash != leaf {
				return fmt.Errorf("entry %d in %s: leaf hash %s, in the tree %s", start+int64(i), place(bundle), hash, leaf)
			}
			if i != 0 && i != w-1 {
				continue
			}
			proof, err := tlog.ProveRecord(tree.N, start+int64(i), reader)
			if err != nil {
				return fmt.Errorf("inclusion of entry %d: %w", start+int64(i), err)
			}
			if err := tlog.CheckRecord(proof, tree.N, tree.Hash, start+int64(i), hash); err != nil {
				return fmt.Errorf("inclusion of entry %d: %w", start+int64(i), err)
			}
		}
	}
}

// splitBundle is the entries of a bundle: so many, each behind its length, and nothing after them.
func splitBundle(data []byte, count int) ([][]byte, error) {
	var entries [][]byte
	for len(data) > 0 {
		if len(data) < 2 {
			return nil, errors.New("ends within a length")
		}
		size := int(binary.BigEndian.Uint16(data))
		if len(data) < 2+size {
			return nil, errors.New("ends within an entry")
		}
		entries = append(entries, data[2:2+size])
		data = data[2+size:]
	}
	if len(entries) != count {
		return nil, fmt.Errorf("%d entries, not %d", len(entries), count)
	}
	return entries, nil
}

// checkConsistency proves that the tree extends the one of an earlier checkpoint.
func checkConsistency(tree tlog.Tree, oldPath string, verifier note.Verifier, reader tlog.HashReader) error {
	old, err := openCheckpoint(oldPath, verifier)
	if err != nil {
		return err
	}
	if old.N > tree.N {
		return fmt.Errorf("shrank: size %d, earlier %d", tree.N, old.N)
	}
	if old.N == 0 {
		return nil
	}
	proof, err := tlog.ProveTree(tree.N, old.N, reader)
	if err != nil {
		return fmt.Errorf("consistency with size %d: %w", old.N, err)
	}
	if err := tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash); err != nil {
		return fmt.Errorf("consistency with size %d: %w", old.N, err)
	}
	return nil
}
