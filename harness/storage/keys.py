"""Names a trial by what identifies it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def trial_key(identity: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of a trial's identity, 40 hexadecimal digits.

    It is the same for the identity that a record holds, whose keys are texts as in every JSON file.
    """
    content = json.loads(json.dumps(identity))
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:40]
