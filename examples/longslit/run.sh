#!/bin/sh
# The synthetic long slit, end to end: writes it, reduces it, draws pictures, and compares the results with the truth.
#
#   sh examples/longslit/run.sh [--size 240x600] [--seed 20221119]     (options of make_night.py)
#
# Makes .venv at the checkout's root when there is none, and installs the checkout there when it has changed. PYTHON names
# the interpreter to use; it must be 3.11 or later. All products go to examples/longslit/night.
set -eu

case ${1-} in
-h | --help)
    sed -n '2,7s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
night=$here/night
began=$(date +%s)
. "$root/examples/environment.sh"

say() {
    printf '%6s %3d s  %s\n' '' $(($(date +%s) - began)) "$1"
}

# The reduction's steps and tables, without the paths of its products.
reduce() {
    rm -f "$night/failed"
    { LONGSLIT_BEGAN=$began sh "$here/reduce.sh" "$night" || : >"$night/failed"; } | grep -v '^[^ ]*\.\(fits\|png\)$' || :
    if [ -e "$night/failed" ]; then
        echo "run.sh: the reduction failed; $night/reduced holds what was made before" >&2
        exit 1
    fi
}

pictures() {
    rm -rf "$night/pictures"
    mkdir "$night/pictures"
    cp response.png "$night/pictures"
    display_fits master_bias.fits arc.fits flat.fits response.fits --sheet --columns 4 -o ../pictures/masters.png
    display_fits ../sci.0014.fits science_f/sci.0014.fits --sheet --columns 2 -o ../pictures/raw_and_reduced.png
}

install
PATH=$root/.venv/bin:$PATH
OPENBLAS_NUM_THREADS=1
export PATH OPENBLAS_NUM_THREADS
say 'write the night'
python "$here/make_night.py" "$night" "$@"
reduce
say 'draw pictures, compare with the truth'
(cd "$night/reduced" && pictures >/dev/null)
echo
python "$here/compare.py" "$night" && status=0 || status=1
echo
ls "$night"/pictures/*.png
say 'done'
exit $status
