"""Keeps records, intermediates and files on disk."""
