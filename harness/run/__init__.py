"""Runs trials: from a composed config to a record in the store."""
