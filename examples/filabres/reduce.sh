#!/bin/sh
# Reduces nights of CAFOS' images as filabres does, without a database. What is there is not made again.
#
#   sh reduce.sh [DIR [OUT]]
#
# DIR   the folder of the nights, each a folder of raw frames; default: nights, beside this script
# OUT   the folder of the products; default: DIR/made
#
# Files beside this script say what the instrument is (cafos.mk), which frames are of no use (ignored.lst) and which headers
# are wrong (corrections.lst); INSTRUMENT, IGNORED and CORRECTIONS name others. The commands must be on the PATH.
set -eu

case ${1-} in
-h | --help)
    sed -n '2,10s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
nights=${1:-$here/nights}
made=${2:-$nights/made}
ignored=${IGNORED:-$here/ignored.lst}
corrections=${CORRECTIONS:-$here/corrections.lst}
eval "$(sed -n 's/^\([a-z_]*\) = \(.*\)/\1="\2"/p' "${INSTRUMENT:-$here/cafos.mk}")"
if ! command -v img_group >/dev/null; then
    echo 'reduce.sh: the commands are not on the PATH: img_group is not found' >&2
    exit 1
fi
set -- "$nights"/[0-9]*/*.fits
if ! [ -e "$1" ]; then
    echo "reduce.sh: $nights: there are no frames [0-9]*/*.fits" >&2
    exit 1
fi
mkdir -p "$made"
made=$(cd "$made" && pwd)
cd "$nights"

step() {
    printf '[%s/7] %s\n' "$1" "$2"
}

# All frames but those of no use; one whose header was corrected is the copy.
usable() {
    grep -v '^#' "$ignored" >"$made/.ignored" || :
    img_log '[0-9]*/*.fits' --names | grep -vxFf "$made/.ignored" | awk -v list="$corrections" -v copies="$made/corrected/" '
        BEGIN { while ((getline line < list) > 0) { split(line, words, " "); corrected[words[1]] } }
        { name = $0; sub(".*/", "", name); print $0 in corrected ? copies name : $0 }'
}

# The masters of one kind, each named after the first frame of its list, where they are not there yet.
masters() {
    for list in "$made/groups/$1".*.list; do
        first=$(head -n 1 "$list")
        if ! [ -e "$made/$1/${first##*/}" ]; then
            tr '\n' '\0' <"$list" | xargs -0 sh "$here/master.sh" "$1" -c "$2" -o "$made/$1/${first##*/}"
            echo "$made/$1/${first##*/}"
        fi
    done
}

# Calibrates frames by the nearest master: folder, frames, masters, keys, operator. A frame without a master is told.
calibrate() {
    name=$1
    img_match "$2" --to "$3" --by "$4" --format tsv -q -f -o "$made/$name.tsv" || [ $? -eq 1 ]
    shift 4
    img_arith --pairs @"$made/$name.tsv" --skip-unpaired "$@" --skip-existing -o "$made/$name/"
}

step 1 'correct headers; list biases, flats and science frames'
grep -v '^#' "$corrections" | xargs -r -L 1 img_hedit --skip-existing -o "$made/corrected/"
usable >"$made/frames.list"
for kind in bias flat science; do
    eval "img_log @\"\$made/frames.list\" --where \"\$is_$kind\" --names -q -f -o \"\$made/$kind.list\""
done
rm -rf "$made/groups"
mkdir "$made/groups"

step 2 'group the biases by their window and in time, and combine each group'
img_group @"$made/bias.list" --by "$window" --span "$span" --lists "$made/groups/bias" -q
masters bias "$bias_check"

step 3 'subtract from each flat the bias of its window that is nearest in time'
calibrate flats_b @"$made/flat.list" "$made/bias/*.fits" "$window" -

step 4 'group the flats by window and filter and in time, and combine each group at one level'
img_group "$made/flats_b/*.fits" --by "$light" --span "$span" --lists "$made/groups/flat" -q
masters flat "$flat_check"

step 5 'subtract from each science frame the nearest bias'
calibrate science_b @"$made/science.list" "$made/bias/*.fits" "$window" -

step 6 'divide it by the nearest flat, and measure what comes out'
calibrate science "$made/science_b/*.fits" "$made/flat/*.fits" "$light" / --min-denominator 0.01,1 | tee "$made/.written"
[ ! -s "$made/.written" ] || img_stats @"$made/.written" -s filabres -u >/dev/null

step 7 'the table of products and their quality'
cd "$made"
products='bias/*.fits,flat/*.fits,science/*.fits'
img_log "$products" -k "$columns" --format tsv -q -f -o products.tsv
img_log "$products" -k Filename,NCOMBINE,CMBCHECK,BIASDMJD,FLATDMJD,QUANT500,ROBUSTSD
