"""A study's answers as tables, figures, pages and papers."""
