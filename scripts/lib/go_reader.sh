# build/tlog-reader: a reader of published logs that shares no line with this project.
#
# Sourced after venv.sh, from the project's root. Built from tests/conformance/tlog_reader on golang.org/x/mod/sumdb,
# the code of the Go checksum database, with any Go >= 1.19 and Debian's copy of x/mod. What is missing of the two is
# installed with apt-get where that can be done without a question: as root, or with a sudo that needs no password.

GO_READER="$PWD/build/tlog-reader"
GO_READER_SOURCE="$PWD/tests/conformance/tlog_reader/main.go"
GO_SOURCES=/usr/share/gocode
GO_READER_PACKAGE="$GO_SOURCES/src/golang.org/x/mod/sumdb/tlog"

find_go() {
    local candidate
    for candidate in go /usr/local/go/bin/go /usr/lib/go/bin/go; do
        if command -v "$candidate" >/dev/null 2>&1 && "$candidate" version >/dev/null 2>&1; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

# install_debian PACKAGE...: updates apt's lists first only when a package is not in them.
install_debian() {
    local as_root=()
    command -v apt-get >/dev/null 2>&1 || { say "no apt-get here; needed: Debian's $*"; return 1; }
    if [ "$(id -u)" -ne 0 ]; then
        as_root=(sudo -n)
        sudo -n true 2>/dev/null || { say "apt-get needs root; run: apt-get install $*"; return 1; }
    fi
    as_root+=(env DEBIAN_FRONTEND=noninteractive)
    if ! apt-cache show "$@" >/dev/null 2>&1; then
        quietly "apt-get update" "${as_root[@]}" apt-get update || return 1
    fi
    quietly "apt-get install" "${as_root[@]}" apt-get install -y --no-install-recommends "$@" && return 0
    quietly "apt-get update" "${as_root[@]}" apt-get update || return 1
    quietly "apt-get install" "${as_root[@]}" apt-get install -y --no-install-recommends "$@"
}

# prepare_go_reader: build/tlog-reader is there and newer than its source, afterwards.
prepare_go_reader() {
    local missing=() go
    [ "$GO_READER" -nt "$GO_READER_SOURCE" ] && return 0
    [ -d "$GO_READER_PACKAGE" ] || missing+=(golang-golang-x-mod-dev)
    find_go >/dev/null || missing+=(golang-go)
    if [ "${#missing[@]}" -gt 0 ]; then
        say "log reader: installing ${missing[*]} ..."
        install_debian "${missing[@]}" || return 1
    fi
    go="$(find_go)" || { say "no Go after installing ${missing[*]}"; return 1; }
    say "log reader: building build/tlog-reader with $("$go" env GOVERSION) ..."
    mkdir -p build
    quietly "building the log reader" env -u GOROOT GOENV=off GOFLAGS= GO111MODULE=off GOTOOLCHAIN=local CGO_ENABLED=0 \
        GOPATH="$GO_SOURCES" GOCACHE="$PWD/build/go-cache" "$go" build -trimpath -o "$GO_READER" "$GO_READER_SOURCE"
}
