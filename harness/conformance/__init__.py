"""Checks that every option keeps the promises of its kind; the tests and `harness check` call the same functions."""
