#!/bin/sh
# Reduces a night of a long-slit spectrograph: overscan, bias, arcs, flats, response, science.
#
#   sh reduce.sh [-c CAMERA] [DIR [OUT]]
#
# CAMERA  synthetic (default; what make_night.py writes) or kast_blue (Shane Kast's blue side: b1, b11-b13, b21-b23, b24, b27);
#         or a file of shell variables such as those below
# DIR     the folder of the raw frames; default: night, beside this script
# OUT     the folder of the products, made anew each time; default: DIR/reduced
#
# img_trim, combine_fits and the others must be on the PATH.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
camera=synthetic
while getopts c:h option; do
    case $option in
    c) camera=$OPTARG ;;
    h)
        sed -n '2,11s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
raw=${1:-$here/night}
out=${2:-$raw/reduced}

if ! command -v img_trim >/dev/null; then
    echo 'reduce.sh: the commands are not on the PATH: img_trim is not found' >&2
    exit 1
fi

# What a camera has of its own: its frames, its amplifiers (FITS sections: data, overscan), how its overscan and its lamp are
# fitted, its gain. With the read noise every product carries its uncertainty, in the extension UNCERT.
case $camera in
synthetic)
    bias='bias.*.fits' arcs='arc.*.fits' flats='flat.*.fits' science='sci.*.fits'
    # Two halves of the data, then an overscan of 50 columns for each.
    nx=$(img_log "$raw/bias.0001.fits" -k NAXIS1 --format tsv 2>/dev/null | sed -n 2p) # of 340 columns, or fewer
    half=$(((${nx:-340} - 100) / 2))
    amplifiers="--amp [1:$half,*]:[$((2 * half + 1)):$((2 * half + 50)),*]
        --amp [$((half + 1)):$((2 * half)),*]:[$((2 * half + 51)):$((2 * half + 100)),*]"
    overscan='--guard 4,2 --fit chebyshev:1 --clip 4'
    gain='--gain 1.25,1.10 --rdnoise 4,5 --uncertainty'
    response='-d y -m spline -k 16'
    ;;
kast_blue)
    bias='b2[123].fits*' arcs='b1.fits*' flats='b1[123].fits*' science='b2[47].fits*'
    amplifiers='--amp [1:1024,*]:[2049:2080,*] --amp [1025:2048,*]:[2081:2112,*]'
    overscan='--guard 2,5 --fit chebyshev:3 --clip 4'
    gain='--gain 1.23,1.26 --rdnoise overscan --uncertainty'
    response='-d x -m spline -k 25'
    ;;
*)
    if ! [ -f "$camera" ]; then
        echo "reduce.sh: -c $camera: neither synthetic nor kast_blue, and there is no such file" >&2
        exit 2
    fi
    case $camera in */*) ;; *) camera=./$camera ;; esac
    . "$camera"
    ;;
esac

# Patterns are the commands' own; the shell only looks whether there is anything, and splits options into words.
set -- "$raw"/$bias
if ! [ -e "$1" ]; then
    echo "reduce.sh: $raw: there are no bias frames $bias of $camera" >&2
    exit 1
fi
if [ -e "$out" ] && ! [ -e "$out/.reduce.sh" ]; then
    echo "reduce.sh: $out: not made by reduce.sh, so it is left alone" >&2
    exit 1
fi
raw=$(cd "$raw" && pwd)
rm -rf "$out"
mkdir -p "$out"
: >"$out/.reduce.sh"
cd "$out"
set -f # from here on nobody expands patterns but the commands

began=${LONGSLIT_BEGAN:-$(date +%s)}
step() {
    printf '[%d/7] %3d s  %s\n' "$1" $(($(date +%s) - began)) "$2"
}

step 1 'subtract the overscan of each amplifier, cut it away, join the halves, make electrons'
for kind in bias arcs flats science; do
    eval "frames=\$$kind"
    img_trim "$raw/$frames" $amplifiers $overscan $gain -o "$kind/"
done

step 2 'combine the bias frames'
combine_fits 'bias/*' -m median --set 'IMAGETYP=MASTER BIAS' -o master_bias.fits

step 3 'subtract the bias from all the others'
for kind in arcs flats science; do
    img_arith "$kind/*" - master_bias.fits -o "${kind}_b/"
done

step 4 'add the arcs, and their exposure times'
combine_fits 'arcs_b/*' -m sum -o arc.fits
img_log arc.fits -k Filename,NCOMBINE,EXPTIME

step 5 'combine the flats at one level'
combine_fits 'flats_b/*' -m median -n median --norm-to 1 -o flat.fits

step 6 'take the lamp out of the flat'
flat_response flat.fits $response --set 'IMAGETYP=MASTER FLAT' -o response.fits --plot response.png
img_log response.fits -k Filename,RSPMETH,RSPORDER,RSPRMS,LITSEC,NBADPIX

step 7 'divide the science frames by the response'
img_arith 'science_b/*' / response.fits -o science_f/
