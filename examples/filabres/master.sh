#!/bin/sh
# Makes one master from its frames.
#
#   sh master.sh bias|flat [-f] [-c CHECK] -o OUT FRAME...
#
# bias  the median of all frames
# flat  the median of frames that have lost their bias, each divided by its median in the part that sees light; what sees none
#       has no value (NaN), and masks/ beside OUT's folder says where that is (1). A frame without light is left out and told.
#
# Both get the statistics that filabres keeps in their headers, and CMBCHECK, which says whether they fulfil CHECK.
set -eu

kind=$1 && shift
force= check='n >= 1' out=
while getopts fc:o: option; do
    case $option in
    f) force=-f ;;
    c) check=$OPTARG ;;
    o) out=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))

# A master that fails its check is there all the same: status 3.
combined() {
    combine_fits -q $force -m median --check "$check" -o "$out" "$@" || [ $? -eq 3 ]
}

mkdir -p "$(dirname "$out")"
case $kind in
bias)
    combined --set 'IMAGETYP=MASTER BIAS' "$@"
    ;;
flat)
    masks=$(dirname "$(dirname "$out")")/masks
    mkdir -p "$masks"
    unlit=$masks/${out##*/} lamp=$masks/.lamp_${out##*/}
    trap 'rm -f "$lamp"' EXIT
    combine_fits -q -f -m sum --skip-bad "$@" -o "$lamp"
    img_mask -q -f "$lamp" --lit 0.5 --set IMAGETYP=MASK -o "$unlit"
    combined -n median --norm-to 1 --norm-mask "$unlit" --mask "$unlit" --skip-bad --set 'IMAGETYP=MASTER FLAT' "$@"
    ;;
*)
    echo "master.sh: $kind: neither bias nor flat" >&2
    exit 2
    ;;
esac
img_stats "$out" -s filabres -u >/dev/null
