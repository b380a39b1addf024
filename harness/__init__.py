"""Measures whether accuracy comes from the model or from the data, by paired trials with intervals and costs."""

__version__ = "0.1.0"
