"""Builds in containers on this machine, by the Open Container Initiative's runtime specification."""
