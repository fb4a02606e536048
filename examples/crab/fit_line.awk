# A straight line through the mean counts of the master darks, by least squares with a sigma of 1 count.
# Input: img_stats of mean_dark60.fit and so on; the exposure time is in the file's name, the mean in column 4.
match($1, /mean_dark[0-9]+/) {
    x = substr($1, RSTART + 9, RLENGTH - 9)
    n++; sx += x; sy += $4; sxx += x * x; sxy += x * $4
}
END {
    det = n * sxx - sx * sx
    if (det <= 0) { print "fit_line.awk: darks of two exposure times are needed" > "/dev/stderr"; exit 1 }
    print "Counts = Offset + Slope * ExpTime"
    printf "Offset = %.3f +/- %.3f\n", (sxx * sy - sx * sxy) / det, sqrt(sxx / det)
    printf "Slope  = %.3f +/- %.3f\n", (n * sxy - sx * sy) / det, sqrt(n / det)
    print "npts = " n
}
