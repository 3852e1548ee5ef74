// What a page's browser is told of the other end, changed on its way: for paths of the tests' own, and for browsers that know less.

/** Has the page take descriptions with these changes, each a pattern and what stands in its place. For connections to come. */
export function edit(page, ...edits) {
  return page.evaluate((edits) => {
    const { setRemoteDescription } = RTCPeerConnection.prototype;
    RTCPeerConnection.prototype.setRemoteDescription = function ({ type, sdp }) {
      const edited = edits.reduce((text, [pattern, by]) => text.replace(new RegExp(pattern, "gm"), by), sdp);
      return setRemoteDescription.call(this, { type, sdp: edited });
    };
  }, edits);
}

/** All candidates at a path's port. */
export const through = ({ port }) => ["(^a=candidate:.*) \\d+ typ host", `$1 ${port} typ host`];

/** Opus and what is made of it cannot be asked for again. */
export const withoutAudioRepair = ["^a=rtcp-fb:(111|63) nack\r\n", ""];

/** No redundant audio: the number from the list, and the lines that say what it is. */
export const withoutRedundancy = ["(^m=audio .*) 63\\b|^a=(?:rtpmap|fmtp|rtcp-fb):63 .*\r\n", "$1"];

export const withoutDescriptor = ["^a=extmap:.*dependency-descriptor.*\r\n", ""];
