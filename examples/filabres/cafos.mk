# What filabres' definition of an instrument says, for Makefile and reduce.sh: NAME = VALUE, one a line.
# What a frame has in common with its bias, and with its flat; within which time frames make one master.
window = CCDNAME,NAXIS1,NAXIS2,DATASEC,CCDBINX,CCDBINY
light = CCDNAME,NAXIS1,NAXIS2,DATASEC,CCDBINX,CCDBINY,INSGRID,INSFLID,INSPOFPI
span = 1h
# Which frames are biases, flats and images of the sky, by their headers and their pixels.
is_bias = IMAGETYP == 'bias' and EXPTIME == 0 and q97.5 < 1000
is_flat = IMAGETYP in ('flat', 'domeflat', 'twilight') and EXPTIME > 0 and INSGRID == 'GRISM-11' and q97.5 < 60000
is_science = IMAGETYP == 'science' and EXPTIME > 0 and INSGRID == 'GRISM-11' and q97.5 < 60000
# What masters must fulfil.
bias_check = n >= 3 and rstd < 5
flat_check = n >= 3 and 5000 < level < 60000 and std < 0.2
# The table of products.
columns = Filename,IMAGETYP,DATASEC,INSFLID,NCOMBINE,NSKIPPED,CMBCHECK,BIASFILE,BIASDMJD,FLATFILE,FLATDMJD,NPOINTS,QUANT025,QUANT500,QUANT975,ROBUSTSD
