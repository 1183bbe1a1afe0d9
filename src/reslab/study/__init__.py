"""The published experiments: planned, run, judged and reported."""
