#!/bin/sh
# The recipe's steps 1 to 12, command for command, on the frames of one night.
#
#   sh reduce.sh [DIR]      DIR: the folder of the raw frames; default: night, beside this script
#
# It works on copies, in DIR/reduced, which is made anew each time. img_rename, img_log and the others must be on the PATH.
# Commands that need not wait for each other stand between `at_once <<end` and `end`, and run JOBS (2) at a time.
set -e

here=$(cd "$(dirname "$0")" && pwd)
night=${1:-$here/night}
if ! [ -e "$night/Bias 001.fit" ]; then
    echo "reduce.sh: $night: the frames of make_night.py are not there" >&2
    exit 1
fi
if [ -e "$night/reduced" ] && ! [ -e "$night/reduced/.reduce.sh" ]; then
    echo "reduce.sh: $night/reduced: not made by reduce.sh, so it is left alone" >&2
    exit 1
fi
rm -rf "$night/reduced"
mkdir "$night/reduced"
: >"$night/reduced/.reduce.sh"
cp "$night"/*.fit "$night/reduced"
cd "$night/reduced"

began=${CRAB_BEGAN:-$(date +%s)}
step() {
    printf '[%2d/12] %3d s  %s\n' "$1" $(($(date +%s) - began)) "$2"
}

at_once() {
    tr '\n' '\0' | xargs -0 -n 1 -P "${JOBS:-2}" sh -c
}

step 1 'rename all frames into one sequence, sorted in time'
img_rename '*.fit'

step 2 'construct the log from the headers'
img_log '*.fit' -o HEADER_LOG -k \
'Filename,OBJECT,FILTER,IMAGETYP,DATE-OBS,EXPTIME,NAXIS1,NAXIS2,\
XBINNING,READOUTM,ISOSPEED,EGAIN,CCD-TEMP'

step 3 'construct the mean bias'
egrep "#|Bias" HEADER_LOG | awk '{print $1,$7,$8,$9,$10,$11}'
combine_fits \
'20210227.004[1-9].fit,20210227.0050.fit,20210227.009[89].fit,20210227.010[0-7].fit' \
-m mean -o mean_bias.fit

step 4 'subtract the mean bias from all the other frames'
at_once <<end
img_arith \
'20210227.00[0123]?.fit,20210227.0040.fit,20210227.005[1-9].fit' \
- mean_bias.fit -o bsub
img_arith \
'20210227.00[678]?.fit,20210227.009[0-7].fit' \
- mean_bias.fit -o bsub
end

step 5 'construct the mean darks; 0051 is odd and is left out'
egrep "#|Dark" HEADER_LOG | awk '{print $1,$6,$7,$8,$9,$10,$11}'
# The recipe's region, 600 1100 400 700, on frames of 1116 x 720; frames of another size have it in proportion.
bounds=$(awk '!/^#/ {printf "%d %d %d %d", $7 * 600 / 1116, $7 * 1100 / 1116, $8 * 400 / 720, $8 * 700 / 720; exit}' HEADER_LOG)
img_stats 'bsub.005[1-9].fit,bsub.006[01].fit' -b $bounds -o raw_dark_stats.log
at_once <<end
combine_fits 'bsub.005[2-6].fit' -m mean -o mean_dark60.fit
combine_fits 'bsub.005[78].fit' -m mean -o mean_dark120.fit
combine_fits 'bsub.0059.fit,bsub.006[01].fit' -m mean -o mean_dark180.fit
end

step 6 'check the dark counts against time'
img_stats 'mean*fit' -b $bounds -o dark_stats.log
awk -f "$here/fit_line.awk" dark_stats.log >dark_fit.log
cat dark_fit.log

step 7 'scale the 180 s dark to the exposure times of the flats'
at_once <<end
img_arith mean_dark180.fit x 0.25 -o dark1sec.fit
img_arith mean_dark180.fit x 0.26 -o dark2sec.fit
img_arith mean_dark180.fit x 0.27 -o dark5sec.fit
img_arith mean_dark180.fit x 0.29 -o dark10sec.fit
end

step 8 'subtract these darks from the flats'
egrep "#|Flat" HEADER_LOG | awk '{print $1,$3,$6}'
at_once <<end
img_arith 'bsub.000[1-5].fit' - dark2sec.fit -o dbsub
img_arith 'bsub.000[6-9].fit,bsub.0010.fit' - dark5sec.fit -o dbsub
img_arith 'bsub.001[1-5].fit' - dark10sec.fit -o dbsub
img_arith 'bsub.001[6-9].fit,bsub.00[23]?.fit,bsub.0040.fit' - dark1sec.fit -o dbsub
end

step 9 'construct the flats: averages and medians, where star trails show'
at_once <<end
combine_fits -m average -a mean 'dbsub.000[1-5].fit' -o oiii_mean_flat.fit
combine_fits -m average -a mean 'dbsub.000[6-9].fit,dbsub.0010.fit' -o sii_mean_flat.fit
combine_fits -m average -a mean 'dbsub.001[1-5].fit' -o halpha_mean_flat.fit
combine_fits -m average -a mean 'dbsub.001[6-9].fit,dbsub.0020.fit' -o red_mean_flat.fit
combine_fits -m average -a mean 'dbsub.002[1-5].fit' -o green_mean_flat.fit
combine_fits -m average -a mean 'dbsub.002[6-9].fit,dbsub.0030.fit' -o blue_mean_flat.fit
combine_fits -m average -a mean 'dbsub.003[1-5].fit' -o lumin_mean_flat.fit
combine_fits -m average -a mean 'dbsub.003[6-9].fit,dbsub.0040.fit' -o open_mean_flat.fit
end

at_once <<end
combine_fits -m median 'dbsub.000[1-5].fit' -o oiii_median_flat.fit
combine_fits -m median 'dbsub.000[6-9].fit,dbsub.0010.fit' -o sii_median_flat.fit
combine_fits -m median 'dbsub.001[1-5].fit' -o halpha_median_flat.fit
combine_fits -m median 'dbsub.001[6-9].fit,dbsub.0020.fit' -o red_median_flat.fit
combine_fits -m median 'dbsub.002[1-5].fit' -o green_median_flat.fit
combine_fits -m median 'dbsub.002[6-9].fit,dbsub.0030.fit' -o blue_median_flat.fit
combine_fits -m median 'dbsub.003[1-5].fit' -o lumin_median_flat.fit
combine_fits -m median 'dbsub.003[6-9].fit,dbsub.0040.fit' -o open_median_flat.fit
end
# Scaled to one level, the highest value of each pixel dropped, the result scaled to a mean of 1: that works.
at_once <<end
combine_fits -m median -c max -d 1 -n mean -u 'dbsub.000[1-5].fit' -o oiii_flat.fit
combine_fits -m median -c max -d 1 -n mean -u 'dbsub.000[6-9].fit,dbsub.0010.fit' -o sii_flat.fit
combine_fits -m median -c max -d 1 -n mean -u 'dbsub.001[1-5].fit' -o halpha_flat.fit
combine_fits -m median -c max -d 1 -n mean -u 'dbsub.001[6-9].fit,dbsub.0020.fit' -o red_flat.fit
combine_fits -m median -c max -d 1 -n mean -u 'dbsub.002[1-5].fit' -o green_flat.fit
combine_fits -m median -c max -d 1 -n mean -u 'dbsub.002[6-9].fit,dbsub.0030.fit' -o blue_flat.fit
combine_fits -m median -c max -d 1 -n mean -u 'dbsub.003[1-5].fit' -o lumin_flat.fit
combine_fits -m median -c max -d 1 -n mean -u 'dbsub.003[6-9].fit,dbsub.0040.fit' -o open_flat.fit
end

step 10 'subtract the darks from the lights'
at_once <<end
img_arith 'bsub.006[2-9].fit,bsub.007[0-3].fit' - mean_dark60.fit -o dbsub
img_arith 'bsub.007[48].fit,bsub.0082.fit' - mean_dark120.fit -o dbsub
img_arith 'bsub.007[5679].fit,bsub.008[013-9].fit' - mean_dark180.fit -o dbsub
end

step 11 'divide the lights by the flats'
at_once <<end
img_arith 'dbsub.006[234].fit,dbsub.007[48].fit,dbsub.0082.fit' / lumin_flat.fit -o fdb
img_arith 'dbsub.006[567].fit,dbsub.007[59].fit,dbsub.0083.fit' / red_flat.fit -o fdb
img_arith 'dbsub.006[89].fit,dbsub.007[06].fit,dbsub.008[04].fit' / green_flat.fit -o fdb
img_arith 'dbsub.007[1237].fit,dbsub.008[15].fit' / blue_flat.fit -o fdb
img_arith 'dbsub.008[678].fit' / halpha_flat.fit -o fdb
end

step 12 'combine each colour'
at_once <<end
combine_fits 'fdb.006[234].fit' -m mean -o cluster_lumin.fit
combine_fits 'fdb.006[567].fit' -m mean -o cluster_red.fit
combine_fits 'fdb.006[89].fit,fdb.0070.fit' -m mean -o cluster_green.fit
combine_fits 'fdb.007[123].fit' -m mean -o cluster_blue.fit
combine_fits 'fdb.007[48].fit,fdb.0082.fit' -m mean -o crab_lumin.fit
combine_fits 'fdb.007[59].fit,fdb.0083.fit' -m mean -o crab_red.fit
combine_fits 'fdb.0076.fit,fdb.008[04].fit' -m mean -o crab_green.fit
combine_fits 'fdb.0077.fit,fdb.008[15].fit' -m mean -o crab_blue.fit
end
