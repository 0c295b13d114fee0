"""Checking and exporting the log by hand."""
