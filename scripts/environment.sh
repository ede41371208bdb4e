# Sourced by the other scripts: make a virtual environment in the repository root (VENV, .venv unless set afterwards) and install
# the package with the named extra, and before it the packages named after that.
# Does nothing when the same pyproject.toml was installed before.

VENV=.venv

install_extra() {
    local extra=$1
    shift
    local stamp="$VENV/installed-$extra"
    local wanted
    wanted="$PWD $(cksum < pyproject.toml) $*"
    if ! "$VENV/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        local python
        python=$(find_python)
        echo "Making $VENV with $("$python" --version)"
        rm -rf "$VENV"
        "$python" -m venv "$VENV" || {
            rm -rf "$VENV"
            echo "Cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2
            exit 1
        }
    fi
    if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        echo "Using $VENV, nothing to install"
        return
    fi
    echo "Installing fastcheck[$extra] into $VENV (a minute or two the first time)"
    if [ $# -gt 0 ]; then
        "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
    fi
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".[$extra]"
    echo "$wanted" > "$stamp"
}

find_python() {
    local name
    for name in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 python; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' > /dev/null 2>&1; then
            echo "$name"
            return
        fi
    done
    echo "fastcheck needs Python 3.11 or newer; none found (set PYTHON to name one)" >&2
    exit 1
}
