"""RVR: a police Domestic Abuse desk's Rapid Video Response."""

__version__ = "0.1.0"
