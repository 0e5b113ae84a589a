#!/usr/bin/env bash
# Says everything that this machine lacks for `make TARGET`, all at once, before minutes go into an install.
# Usage: scripts/preflight.sh demo|test|bench|install
set -u
target=$1
home=${FROMAGE_HOME:-$HOME/.cache/fromage}
missing=0

lacks() {
    printf 'missing: %s\n' "$1" >&2
    missing=1
}

if [ ! -x .venv/bin/python ]; then
    python=$("$BASH" "${0%/*}/find_python.sh") || lacks "Python 3.11 or newer. Debian, Ubuntu: apt-get install python3 python3-venv;\
 macOS: brew install python@3.11; or name one yourself: make $target PYTHON=/path/to/python3.11"
    if [ -n "$python" ] && ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        lacks "the venv module of $python. Debian, Ubuntu: apt-get install python3-venv"
    fi
fi

catalogue=${CATALOGUE:-wardrobe}
case $target in
    test | bench) catalogue=openmoji ;;
    install) catalogue= ;;
esac
if [ "$catalogue" = openmoji ] && [ ! -d "$home/catalogues/openmoji" ] && ! command -v npm >/dev/null; then
    lacks "npm, which fetches the OpenMoji pictures. Debian, Ubuntu: apt-get install npm; macOS: brew install node"
fi

if [ "$target" = test ] && ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null \
    && ! command -v google-chrome >/dev/null; then
    lacks "chromium, which the browser tests drive. Debian: apt-get install chromium"
fi

if [ "$target" = test ] && ! command -v prometheus >/dev/null; then
    lacks "prometheus, which scrapes the running app in a test. Debian, Ubuntu: apt-get install prometheus"
fi

if [ "$target" = test ] && ! command -v redis-server >/dev/null; then
    lacks "redis-server, in which replicas count budgets together in a test. Debian, Ubuntu: apt-get install redis-server"
fi

exit $((missing * 2))
