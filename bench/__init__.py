"""Benchmarks, run by hand: see README.md. Not in the wheel, and CI never runs them."""
