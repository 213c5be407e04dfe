"""A desk that is played: invented callers, and what becomes of them with so many officers.

`play` takes them through the real desk under a clock that is moved; `queue` through the few numbers of the workflow
that a wait depends on, many thousand times as fast. Both meet the same callers, so that one can be held against the
other.
"""
