# Sourced by the other scripts: make .venv in the repository root and install the package with the named extra.
# Does nothing when the same pyproject.toml was installed before.

install_extra() {
    local extra=$1
    local stamp=".venv/installed-$extra"
    local wanted
    wanted="$PWD $(cksum < pyproject.toml)"
    if ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        local python
        python=$(find_python)
        echo "Making .venv with $("$python" --version)"
        rm -rf .venv
        "$python" -m venv .venv || {
            rm -rf .venv
            echo "Cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2
            exit 1
        }
    fi
    if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
        echo "Using .venv, nothing to install"
        return
    fi
    echo "Installing fastcheck[$extra] into .venv (a minute or two the first time)"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[$extra]"
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
