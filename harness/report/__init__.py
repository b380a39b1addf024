"""Writes a study's answers as tables, figures, pages and papers."""
