"""Records in, answers out: pure functions that touch no file and print nothing."""
