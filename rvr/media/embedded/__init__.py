"""The embedded media engine's worker side: it forwards what it receives, decoding nothing, one process for many rooms.

The main process imports of it `sdp_gate` alone. aiortc carries ICE and DTLS (`hooks`, `peer`); RTP and RTCP are this
package's own (`rtp`, `rtcp`, `streams`, `feedback`, `leg`), and pure.
"""
