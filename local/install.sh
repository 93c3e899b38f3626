#!/bin/sh
# Makes .venv, or brings it up to date, unless it is: the fast path of every make.
# The slow path is install.py, run by the first suitable Python there is.
set -eu
cd "$(dirname "$0")/.."

inputs="requirements.txt requirements-dev.txt pyproject.toml local/install.py"
# The folder is part of it: a .venv does not survive being moved.
stamp="$(pwd) $(cat $inputs | cksum)"
if [ -x .venv/bin/python ] && [ "$(cat .venv/stamp 2>/dev/null)" = "$stamp" ]; then
    exit 0
fi

without_venv=""
for python in python3 python3.14 python3.13 python3.12 python3.11; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
    if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        exec "$python" -I local/install.py "$stamp"
    fi
    without_venv=${without_venv:-$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')}
done

if [ -n "$without_venv" ]; then
    echo "$without_venv is here, but not its venv module. To install it:" >&2
    echo "    sudo apt-get install $without_venv-venv" >&2
    exit 1
fi

found=$(python3 --version 2>/dev/null || echo "no Python")
echo "Bide needs Python 3.11 or newer; found $found. To install one:" >&2
if command -v apt-get >/dev/null; then
    echo "    sudo apt-get install python3.11 python3.11-venv" >&2
elif command -v dnf >/dev/null; then
    echo "    sudo dnf install python3.11" >&2
elif command -v brew >/dev/null; then
    echo "    brew install python@3.11" >&2
else
    echo "    see https://www.python.org/downloads/" >&2
fi
exit 1
