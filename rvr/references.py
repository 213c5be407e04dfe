"""The short reference of a case, as it is said on the telephone."""

from __future__ import annotations

import secrets

_SIGNS = "23456789CDFGHJKMNPQRTVWXYZ"
"""Letters and digits that are not mistaken for another on the telephone, and spell no words."""


def draw() -> str:
    """Six places of 26 signs: 300 million references; a clash is decided again by the table's key."""
    code = "".join(secrets.choice(_SIGNS) for _ in range(6))
    return f"{code[:3]}-{code[3:]}"
