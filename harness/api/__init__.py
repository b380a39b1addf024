"""Runs and reads studies from Python: `harness.load`, `harness.run`, `harness.Option`."""
