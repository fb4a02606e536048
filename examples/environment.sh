# What the examples' run.sh share: an environment with the checkout's commands. They set `root` and a function `say`.

# Installs the checkout unless it is installed as it stands now, or the environment imports the checkout itself.
install() {
    if ! [ -x "$root/.venv/bin/pip" ]; then
        python=${PYTHON:-python3}
        if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "run.sh: $python is not Python 3.11 or later; set PYTHON to one that is" >&2
            exit 1
        fi
        say 'make .venv'
        "$python" -m venv "$root/.venv"
    fi
    state=$(cd "$root" && find fitsutils setup.cfg pyproject.toml -type f ! -name '*.pyc' -exec cksum {} + | LC_ALL=C sort)
    if [ "$(cat "$root/.venv/example-state" 2>/dev/null)" != "$root $state" ] && ! imports_checkout; then
        say 'install the checkout into .venv'
        (cd "$root" && .venv/bin/python -m pip install --quiet --disable-pip-version-check '.[plot]')
        echo "$root $state" >"$root/.venv/example-state"
    fi
}

imports_checkout() {
    (cd / && "$root/.venv/bin/python" - "$root/fitsutils" 2>/dev/null) <<end
import importlib.util, os, sys
import fitsutils
found = os.path.samefile(os.path.dirname(fitsutils.__file__), sys.argv[1]) and importlib.util.find_spec('matplotlib')
sys.exit(not found)
end
}
