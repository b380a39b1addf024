"""What is kept on disk: records, intermediates, files and where they lie."""
