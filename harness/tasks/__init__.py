"""Sources of data: one module per source, each with one function that a task's YAML names."""
