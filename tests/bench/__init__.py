"""Benchmarks: measured from outside, beside an alternative, with one JSON object as the last line."""
