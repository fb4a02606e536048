#!/bin/sh
# Two nights like CAFOS', end to end: writes them, reduces them, draws pictures, and compares the results with the truth.
#
#   sh examples/filabres/run.sh [--chip 256] [--seed 20170318]     (options of make_nights.py)
#
# Makes .venv at the checkout's root when there is none, and installs the checkout there when it has changed. PYTHON names
# the interpreter to use; it must be 3.11 or later. All products go to examples/filabres/nights.
set -eu

case ${1-} in
-h | --help)
    sed -n '2,7s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
nights=$here/nights
began=$(date +%s)
. "$root/examples/environment.sh"

say() {
    printf '%6s %3d s  %s\n' '' $(($(date +%s) - began)) "$1"
}

# The reduction's steps, what it tells and its table, without the paths of its products.
reduce() {
    rm -f "$nights/failed"
    { sh "$here/reduce.sh" "$nights" || : >"$nights/failed"; } | grep -v '^[^ ]*\.fits$' || :
    if [ -e "$nights/failed" ]; then
        echo "run.sh: the reduction failed; $nights/made holds what was made before" >&2
        exit 1
    fi
}

pictures() {
    rm -rf pictures
    mkdir pictures
    display_fits 'made/flat/*.fits,made/masks/*.fits' --sheet --columns 5 -o pictures/flats_and_masks.png
    display_fits 'made/science/*.fits' --sheet --columns 5 -o pictures/science.png
    img_stats @made/bias.list --plot DATE-OBS,median pictures/bias_levels.png
    img_stats 'made/flats_b/*.fits' --plot median,rstd,EXPTIME pictures/flat_levels.png
}

install
PATH=$root/.venv/bin:$PATH
OPENBLAS_NUM_THREADS=1
export PATH OPENBLAS_NUM_THREADS
say 'write the nights'
rm -rf "$nights/made"
python "$here/make_nights.py" "$nights" "$@"
reduce
say 'draw pictures, compare with the truth'
(cd "$nights" && pictures >/dev/null)
echo
python "$here/compare.py" "$nights" && status=0 || status=1
echo
ls "$nights"/pictures/*.png
say 'done'
exit $status
