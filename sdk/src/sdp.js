// The few lines of SDP that an ICE restart touches (RFC 8839). Pure.

/** The ICE credentials of a description. */
export function credentials(sdp) {
  return { ufrag: /^a=ice-ufrag:(.*)$/m.exec(sdp)?.[1].trim(), password: /^a=ice-pwd:(.*)$/m.exec(sdp)?.[1].trim() };
}

/** A description with other credentials and candidates, as after the server's ICE restart. */
export function restarted(sdp, { ufrag, password, candidates }) {
  const fresh = [`a=ice-ufrag:${ufrag}`, `a=ice-pwd:${password}`, ...candidates.map((candidate) => `a=${candidate}`)];
  const written = sdp.split(/\r?\n/).flatMap((line) => {
    if (line.startsWith("a=ice-ufrag:")) return fresh;
    return line.startsWith("a=ice-pwd:") || line.startsWith("a=candidate:") ? [] : [line];
  });
  return written.join("\r\n");
}
