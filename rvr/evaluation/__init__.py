"""What an evaluator gets: the timings of each case and the data package, computed from the timing log alone."""
