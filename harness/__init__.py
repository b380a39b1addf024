"""Is accuracy won by the model or by the data? Paired trials, one change at a time, with intervals and costs."""

__version__ = "0.1.0"
