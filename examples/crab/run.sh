#!/bin/sh
# The recipe's night, end to end: writes it, reduces it, draws pictures, and compares the results with the truth.
#
#   sh examples/crab/run.sh [--size 1116x720] [--seed 20210227]     (options of make_night.py)
#
# Makes .venv at the checkout's root when there is none, and installs the checkout there when it has changed. PYTHON names
# the interpreter to use; it must be 3.11 or later. All products go to examples/crab/night.
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
    printf '%7s %3d s  %s\n' '' $(($(date +%s) - began)) "$1"
}

# A night that is there already, written by the same generator with the same options, is used again.
write_night() {
    wanted="$* $(cat "$here/make_night.py" "$here/camera.py" | cksum)"
    frames=$(ls "$night" 2>/dev/null | grep -c '\.fit$') || :
    if [ "$frames" != 107 ] || [ "$(cat "$night/options" 2>/dev/null)" != "$wanted" ]; then
        say 'write the night'
        rm -f "$night/options"
        python "$here/make_night.py" "$night" "$@"
        echo "$wanted" >"$night/options"
    fi
}

# The reduction's steps and its fit; the paths of its products only as a progress line.
reduce() {
    rm -f "$night/failed"
    { CRAB_BEGAN=$began sh "$here/reduce.sh" "$night" || : >"$night/failed"; } | show
    if [ -e "$night/failed" ]; then
        echo "run.sh: the reduction failed; $night/reduced holds what was made before" >&2
        exit 1
    fi
}

show() {
    clear= count=0
    [ ! -t 1 ] || clear=$(printf '\r\033[K')
    while IFS= read -r line; do
        case $line in
        '['* | *' = '*) printf '%s%s\n' "$clear" "$line" ;;
        *.fit)
            count=$((count + 1))
            [ -z "$clear" ] || printf '%s        %s files: %s' "$clear" "$count" "$line"
            ;;
        esac
    done
    printf '%s' "$clear"
}

# Pictures and comparison, two at a time.
conclude() {
    rm -rf "$night/pictures"
    mkdir "$night/pictures"
    cd "$night/reduced"
    tr '\n' '\0' <<end | xargs -0 -n 1 -P 2 sh -c >/dev/null
display_fits '*_flat.fit' --sheet --columns 6 -o ../pictures/flats.png
display_fits 'mean_bias.fit,mean_dark180.fit,lumin_flat.fit,halpha_flat.fit,cluster_*.fit,crab_*.fit' --sheet --columns 4 -o ../pictures/masters_and_colours.png
display_fits crab_lumin.fit -c non -m 500 1800 -o ../pictures/crab_lumin.png
display_fits 20210227.0062.fit cluster_lumin.fit --sheet --columns 2 --size 600 -o ../pictures/raw_and_reduced.png
python ../../compare.py .. >../comparison.txt 2>&1
end
}

install
PATH=$root/.venv/bin:$PATH
OPENBLAS_NUM_THREADS=1  # two commands at a time need no threads of their own, and start 10 % faster without
export PATH OPENBLAS_NUM_THREADS
write_night "$@"
reduce
say 'draw pictures, compare with the truth'
: >"$night/comparison.txt"
(conclude) && status=0 || status=1
echo
cat "$night/comparison.txt"
echo
ls "$night"/pictures/*.png
say 'done'
exit $status
