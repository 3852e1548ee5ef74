// A file as the server serves it: the same rule as in `gateway/src/page/bare.rs`, whose own tests hold it to that.

export function served(text) {
  return text.replace(/^[ \t]*(\/\/.*|\/\*\*[^]*?\*\/[ \t]*)$/gm, (comment) => comment.replace(/[^\n]/g, ""));
}
