// Tlog-check verifies a log over HTTP, and proofs from it, with filippo.io/torchwood: none of the code is this project's.
//
//	tlog-check log URL POLICY [BEARER_TOKEN]
//	tlog-check proof POLICY PROOF LEAF
//
// URL is the prefix of a log in the layout of C2SP tlog-tiles, POLICY a file with its key and the witnesses that have to
// have cosigned the checkpoint (C2SP tlog-policy). Every entry is read and held against the tree. PROOF is a C2SP
// tlog-proof of the entry in the file LEAF. It prints a line that begins with "ok" and exits 0, or prints the reason and
// exits 1.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"
)

const deadline = 2 * time.Minute

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage: tlog-check log URL POLICY [BEARER_TOKEN] | proof POLICY PROOF LEAF")
		os.Exit(64)
	}
	line, err := run(os.Args[1], os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "tlog-check:", err)
		os.Exit(1)
	}
	fmt.Println(line)
}

func run(what string, arguments []string) (string, error) {
	switch {
	case what == "log":
		token := ""
		if len(arguments) > 2 {
			token = arguments[2]
		}
		return checkLog(arguments[0], arguments[1], token)
	case what == "proof" && len(arguments) == 3:
		return checkProof(arguments[0], arguments[1], arguments[2])
	}
	return "", errors.New("nothing of that name can be checked")
}

func readPolicy(path string) (torchwood.Policy, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return torchwood.ParsePolicy(text)
}

// bearing presents a token with every request.
type bearing struct{ token string }

func (b bearing) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	if b.token != "" {
		request.Header.Set("Authorization", "Bearer "+b.token)
	}
	return http.DefaultTransport.RoundTrip(request)
}

func checkLog(url, policyPath, token string) (string, error) {
	policy, err := readPolicy(policyPath)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	client := &http.Client{Transport: bearing{token}}
	note, err := fetch(ctx, client, url+"/checkpoint")
	if err != nil {
		return "", err
	}
	checkpoint, opened, err := torchwood.VerifyCheckpoint(note, policy)
	if err != nil {
		return "", err
	}
	fetcher, err := torchwood.NewTileFetcher(url, torchwood.WithHTTPClient(client))
	if err != nil {
		return "", err
	}
	reader, err := torchwood.NewClient(fetcher)
	if err != nil {
		return "", err
	}
	var count int64
	for index, entry := range reader.AllEntries(ctx, checkpoint.Tree, 0) {
		if index != count || len(entry) == 0 {
			return "", fmt.Errorf("entry %d came as number %d", index, count)
		}
		count++
	}
	if err := reader.Err(); err != nil {
		return "", err
	}
	if count != checkpoint.N {
		return "", fmt.Errorf("%d entries, the checkpoint covers %d", count, checkpoint.N)
	}
	return fmt.Sprintf("ok size=%d root=%s signatures=%d", checkpoint.N, checkpoint.Hash, len(opened.Sigs)), nil
}

func fetch(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, answer.Status)
	}
	if kind := answer.Header.Get("Content-Type"); kind != "text/plain; charset=utf-8" {
		return nil, fmt.Errorf("%s: content type %q", url, kind)
	}
	return io.ReadAll(io.LimitReader(answer.Body, 1<<20))
}

func checkProof(policyPath, proofPath, leafPath string) (string, error) {
	policy, err := readPolicy(policyPath)
	if err != nil {
		return "", err
	}
	proof, err := os.ReadFile(proofPath)
	if err != nil {
		return "", err
	}
	leaf, err := os.ReadFile(leafPath)
	if err != nil {
		return "", err
	}
	if err := torchwood.VerifyProof(policy, tlog.RecordHash(leaf), proof); err != nil {
		return "", err
	}
	return "ok", nil
}
