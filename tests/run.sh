#!/bin/sh
# Checks the code and runs the tests.
#
#   sh tests/run.sh [--all] [other options of pytest]
#
# Makes .venv at the checkout's root when there is none, and installs the checkout there with what the tests need. PYTHON
# names the interpreter to use; it must be 3.11 or later. --all adds the long tests. All parts run, also when one fails.
set -u

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root" || exit 1

if ! [ -x .venv/bin/python ]; then
    python=${PYTHON:-python3}
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        echo "run.sh: $python is not Python 3.11 or later; set PYTHON to one that is" >&2
        exit 1
    fi
    "$python" -m venv .venv || exit 1
fi
state="$root $(cksum setup.cfg pyproject.toml fitsutils/__init__.py)"
if [ "$(cat .venv/tests-state 2>/dev/null)" != "$state" ]; then
    .venv/bin/python -m pip install --quiet --quiet --disable-pip-version-check --editable '.[test]' || exit 1
    echo "$state" >.venv/tests-state
fi
PATH=$root/.venv/bin:$PATH
export PATH

status=0
part() {
    echo "== $*"
    "$@" || status=1
}
part ruff check .
part ruff format --check .
# The commands' manuals are their modules' docstrings; all other public functions keep numpydoc's rules.
part numpydoc lint fitsutils/*.py fitsutils/files/*.py fitsutils/pixels/*.py fitsutils/plots/*.py fitsutils/steps/*.py
part python -m pytest -q -n 2 "$@"
exit $status
