# The project's virtual environment (.venv), made from requirements.lock and nothing else.
#
# Sourced by the scripts that need it, from the project's root. Gives prepare_venv, say and fail.
# Everything that pip fetches is pinned by hash. Wheels are taken, so that nothing is built with tools that no hash
# covers; the few packages in SOURCE_ONLY, which have none, and the project itself are built with the setuptools of the lock.

VENV="$PWD/.venv"
VENV_PYTHON="$VENV/bin/python"
SOURCE_ONLY="bagit"

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "$(basename "$0"): $*"
    exit 1
}

# quietly NAME COMMAND...: runs the command; its output is shown only when it fails.
quietly() {
    local name="$1" log
    shift
    log="$(mktemp)"
    if "$@" >"$log" 2>&1 </dev/null; then
        rm -f "$log"
        return 0
    fi
    cat "$log" >&2
    rm -f "$log"
    say "$name failed; what it said is above"
    return 1
}

# The first Python >= 3.11 that can make an environment; the lock was resolved for 3.11, so that goes first.
find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3.11 python3.12 python3.13 python3.14 python3 python; do
        if [ -n "$candidate" ] && "$candidate" -c '
import sys, venv
try:
    import ensurepip
except ImportError:
    import pip
sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return 0
        fi
    done
    return 1
}

# What an environment was made from: the lock, the Python, and the place (an environment cannot be moved or copied).
stamp_of() {
    "$1" -c '
import hashlib, pathlib, sys
digest = hashlib.sha256(f"{sys.version} {pathlib.Path.cwd()} ".encode())
for name in sys.argv[1:]:
    digest.update(pathlib.Path(name).read_bytes())
print(digest.hexdigest())' "${@:2}"
}

is_stamped() { [ -f "$VENV/$1" ] && [ "$(cat "$VENV/$1")" = "$2" ]; }

make_environment() {
    local python="$1"
    rm -rf "$VENV"
    if "$python" -c 'import ensurepip' 2>/dev/null; then
        quietly "making the virtual environment" "$python" -m venv "$VENV" || return 1
        PIP=("$VENV_PYTHON" -m pip)
    else
        quietly "making the virtual environment" "$python" -m venv --without-pip "$VENV" || return 1
        PIP=("$python" -m pip --python "$VENV_PYTHON")
    fi
}

# First what has wheels, the build tools among it; then what is built by them: all else is there by then.
install_lock() {
    local wheels="$VENV/wheels.lock"
    awk -v left_out=" $SOURCE_ONLY " '/^[a-z]/ { split($0, name, "=="); skip = index(left_out, " " name[1] " ") } !skip' \
        requirements.lock >"$wheels"
    quietly "installing requirements.lock" \
        "${PIP[@]}" install --require-hashes --only-binary :all: --no-deps -r "$wheels" || return 1
    quietly "building what has no wheel ($SOURCE_ONLY)" \
        "${PIP[@]}" install --require-hashes --only-binary :all: --no-binary "${SOURCE_ONLY// /,}" --no-build-isolation --no-deps \
        -r requirements.lock
}

# prepare_venv: .venv holds exactly the lock and this project, afterwards; at once when it already does.
prepare_venv() {
    local python lock_stamp project_stamp
    unset PYTHONPATH PYTHONHOME
    export PYTHONNOUSERSITE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
    python="$(find_python)" || fail "needs Python 3.11 or newer with pip; set PYTHON to one that is not on PATH"
    lock_stamp="$(stamp_of "$python" requirements.lock)"
    project_stamp="$(stamp_of "$python" requirements.lock pyproject.toml)"
    if ! is_stamped lock.stamp "$lock_stamp"; then
        say "environment: making .venv with $("$python" --version) ..."
        make_environment "$python" || fail "no virtual environment"
        say "environment: installing $(grep -c '^[a-z].*==' requirements.lock) packages from requirements.lock ..."
        install_lock || fail "no environment"
        printf '%s\n' "$lock_stamp" >"$VENV/lock.stamp"
    fi
    if ! is_stamped project.stamp "$project_stamp"; then
        say "environment: installing the project ..."
        [ -n "${PIP+set}" ] || PIP=("$python" -m pip --python "$VENV_PYTHON")
        quietly "installing the project" \
            "${PIP[@]}" install --no-deps --no-index --no-build-isolation --editable . || fail "no environment"
        printf '%s\n' "$project_stamp" >"$VENV/project.stamp"
    fi
    export PATH="$VENV/bin:$PATH" VIRTUAL_ENV="$VENV"
}
