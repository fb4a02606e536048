"""What tests/benchmark.py runs: stacks, peers, the clock, and the comparison of the results."""
