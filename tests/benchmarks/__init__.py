"""The benchmarks hold what they say they hold."""
