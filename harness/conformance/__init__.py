"""Checks that every option meets the contract of its kind; tests and `harness check` call the same functions."""
