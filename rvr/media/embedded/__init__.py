"""The embedded media engine's worker side: a relay on aiortc, one process for many rooms.

It decodes and encodes what it relays, which is enough for a small desk and is meant to be replaced by forwarding; the
gate, the process, its numbering and its protocol stay. Only `peer` and `forwarder` (and so `worker`) import aiortc:
the main process imports none of the three.
"""
