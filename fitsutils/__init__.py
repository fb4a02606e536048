"""A small Unix-style toolset for FITS images: one command, one job."""

__version__ = '0.1.0'
