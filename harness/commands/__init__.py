"""The commands: each parses its words, calls what is below, and prints."""
