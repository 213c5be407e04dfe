/**
 * What a connection's statistics (W3C webrtc-stats) say that the call has a use for, in one flat object. Counters run
 * from the beginning of the connection; whoever needs a rate takes the difference.
 */

/**
 * @typedef {object} LineStats
 * @property {number} heard            grows whenever anything at all came from the server: media, reports, checks
 * @property {number} heardOther       packets of the other side's sound and picture
 * @property {number} framesDecoded
 * @property {number} framesSent
 * @property {number} frameWidth
 * @property {number} frameHeight
 * @property {number} freezes
 * @property {number} audioLevel       of what is received, 0 to 1
 * @property {number} audioEnergy      running total of the received sound's energy
 * @property {number} micLevel         of what is sent, 0 to 1
 * @property {number} micEnergy        running total of the microphone's energy
 * @property {number} packetsLost      of what is received
 * @property {number|null} roundTripMs
 * @property {string} protocol         `udp`, `tcp` or `tls` to the TURN server; empty: straight to the media plane
 * @property {number} sentPackets      of ours, as counted here
 * @property {number} sentBytes
 * @property {number} sentLost         of ours, as the receiver's reports count them
 * @property {number} reports          how many such reports have come
 * @property {number|null} availableKbit  what the browser believes that the way up carries, kbit/s
 */

/** @returns {LineStats} */
export function noStats() {
  return {
    heard: 0, heardOther: 0, framesDecoded: 0, framesSent: 0, frameWidth: 0, frameHeight: 0, freezes: 0, audioLevel: 0,
    audioEnergy: 0, micLevel: 0, micEnergy: 0, packetsLost: 0, roundTripMs: null, protocol: "", sentPackets: 0,
    sentBytes: 0, sentLost: 0, reports: 0, availableKbit: null,
  };
}

/** @param {RTCStatsReport[]} reports  of what counts twice the last one's holds @returns {LineStats} */
export function read(reports) {
  const stats = noStats();
  for (const report of reports) {
    report.forEach((entry) => READERS[/** @type {keyof typeof READERS} */ (entry.type)]?.(stats, entry, report));
  }
  return stats;
}

const READERS = {
  /** @param {LineStats} stats @param {any} entry */
  "inbound-rtp": (stats, entry) => {
    stats.heard += entry.packetsReceived ?? 0;
    if (Number(entry.mid) > 1) return; // a guest's: the other side is whoever arrives first
    stats.heardOther += entry.packetsReceived ?? 0;
    stats.packetsLost += entry.packetsLost ?? 0;
    if (entry.kind === "video") {
      stats.framesDecoded += entry.framesDecoded ?? 0;
      stats.frameWidth = entry.frameWidth ?? stats.frameWidth;
      stats.frameHeight = entry.frameHeight ?? stats.frameHeight;
      stats.freezes += entry.freezeCount ?? 0;
    } else {
      stats.audioLevel = Math.max(stats.audioLevel, entry.audioLevel ?? 0);
      stats.audioEnergy += entry.totalAudioEnergy ?? 0;
    }
  },
  /** @param {LineStats} stats @param {any} entry */
  "outbound-rtp": (stats, entry) => {
    stats.sentPackets += entry.packetsSent ?? 0;
    stats.sentBytes += (entry.bytesSent ?? 0) + (entry.headerBytesSent ?? 0);
    stats.framesSent += entry.framesSent ?? 0;
  },
  /** @param {LineStats} stats @param {any} entry */
  "remote-inbound-rtp": (stats, entry) => {
    stats.sentLost += Math.max(0, entry.packetsLost ?? 0);
    stats.reports += entry.roundTripTimeMeasurements ?? 0;
  },
  /** @param {LineStats} stats @param {any} entry */
  "media-source": (stats, entry) => {
    if (entry.kind !== "audio") return;
    stats.micLevel = entry.audioLevel ?? 0;
    stats.micEnergy = entry.totalAudioEnergy ?? 0;
  },
  /** @param {LineStats} stats @param {any} entry @param {RTCStatsReport} report */
  "candidate-pair": (stats, entry, report) => {
    // Checks that were answered, and packets of any kind: a pair of Firefox has the one, of Chromium both.
    stats.heard += (entry.responsesReceived ?? 0) + (entry.packetsReceived ?? 0);
    if (!entry.nominated) return;
    if (entry.currentRoundTripTime !== undefined) stats.roundTripMs = entry.currentRoundTripTime * 1000;
    if (entry.availableOutgoingBitrate !== undefined) stats.availableKbit = entry.availableOutgoingBitrate / 1000;
    stats.protocol = report.get(entry.localCandidateId)?.relayProtocol ?? "";
  },
  /** RTCP alone is counted here by Chromium. @param {LineStats} stats @param {any} entry */
  transport: (stats, entry) => {
    stats.heard += entry.packetsReceived ?? 0;
  },
};
