"""Turns records into answers: pure functions that write no file and print nothing."""
