"""Checks the package's annotations while its tests run, by Python's own rule that a whole number is a float (PEP 484)."""

from __future__ import annotations

from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
