"""Malformed inputs of six kinds, made from a seed, each with what the harness must answer.

A case is a well-formed input with one to three faults. Each fault says what it does to the right answer: nothing (the
input then reads as its well-formed twin does), a change (the twin is changed in the same way), or a refusal that names
something. `python -m tests.malformed` runs many cases and prints a table of kinds and outcomes.
"""
