# Chromium, in which the tests look at the pages as a reader would.
#
# Sourced after go_reader.sh, whose install_debian gets it where that can be done without a question. Without it the
# tests of the pages fail and say what to install.

find_chromium() {
    local candidate
    for candidate in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
        if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

# prepare_chromium: a Chromium is there, and CHROMIUM names it, afterwards.
prepare_chromium() {
    if ! find_chromium >/dev/null; then
        say "chromium: installing Debian's chromium and fonts-dejavu-core ..."
        install_debian chromium fonts-dejavu-core || return 1
    fi
    CHROMIUM="$(find_chromium)" || { say "no Chromium after installing it"; return 1; }
    export CHROMIUM
}
