"""Makes a study from a user's data alone: what the data are, which arms fit them, and what a budget allows."""
