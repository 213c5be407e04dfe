"""The scale-out media engine's worker side: rooms on one or several Janus servers, behind the same line protocol.

Janus (https://janus.conf.meetecho.com, 1.1 or newer, plugin VideoRoom) carries the media; a worker here asks it for
rooms, connections and sources, and listens to a copy of what it receives, so that what was seen is observed by us and
not told by it. No browser ever speaks with Janus but through the desk, and only over ICE.
"""
