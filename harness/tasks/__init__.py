"""Where data come from: one module a source, each with one function that a task's YAML names."""
