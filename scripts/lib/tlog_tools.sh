# build/tlog-tools: other people's tools for transparency logs, which share no line with this project.
#
# Sourced after go_reader.sh, from the project's root. Built from the Go module in tests/interop/tlog_tools, whose
# go.mod and go.sum pin each of them: filippo.io/torchwood (a verifying client on it, and its litewitness, an independent
# witness) and the fsck of github.com/transparency-dev/tessera. Needs Go >= 1.24 and, the first time, the Go module proxy;
# litewitness keeps its key in an ssh-agent.

TLOG_TOOLS="$PWD/build/tlog-tools"
TLOG_TOOLS_SOURCE="$PWD/tests/interop/tlog_tools"

# prepare_tlog_tools: build/tlog-tools holds tlog-check, fsck and litewitness, newer than their pins, afterwards.
prepare_tlog_tools() {
    local go changed
    if ! command -v ssh-agent >/dev/null 2>&1 || ! command -v ssh-add >/dev/null 2>&1; then
        say "log tools: installing openssh-client ..."
        install_debian openssh-client || return 1
    fi
    if [ -x "$TLOG_TOOLS/litewitness" ]; then
        changed="$(find "$TLOG_TOOLS_SOURCE" -type f -newer "$TLOG_TOOLS/litewitness")"
        [ -z "$changed" ] && return 0
    fi
    go="$(find_go)" || { say "log tools: no Go; they need Go >= 1.24"; return 1; }
    say "log tools: building build/tlog-tools with $("$go" env GOVERSION) ..."
    mkdir -p "$TLOG_TOOLS"
    local build=(env -u GOROOT GOENV=off GOFLAGS=-mod=readonly GO111MODULE=on GOTOOLCHAIN=local CGO_ENABLED=0
        GOCACHE="$PWD/build/go-cache" "$go" -C "$TLOG_TOOLS_SOURCE" build -trimpath)
    quietly "building tlog-check" "${build[@]}" -o "$TLOG_TOOLS/tlog-check" . || return 1
    quietly "building fsck" "${build[@]}" -o "$TLOG_TOOLS/fsck" github.com/transparency-dev/tessera/cmd/fsck || return 1
    quietly "building litewitness" "${build[@]}" -o "$TLOG_TOOLS/litewitness" filippo.io/torchwood/cmd/litewitness
}
