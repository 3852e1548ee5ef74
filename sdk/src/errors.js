// The one kind of error that the SDK throws: a stable code, and a sentence for a person.

export class TidewireError extends Error {
  constructor(code, detail, retryAfterS) {
    super(`${code}: ${detail}`);
    this.name = "TidewireError";
    this.code = code;
    this.detail = detail;
    if (retryAfterS !== undefined) this.retryAfterS = retryAfterS;
  }
}

/** An error of the browser's about a peer connection as ours; its own `code` is a number. */
export function peerError(error) {
  return error instanceof TidewireError ? error : new TidewireError("peerFailed", error.message);
}

/** What the browser says about devices, in our codes. */
const DEVICE_CODES = {
  NotAllowedError: "permissionDenied",
  SecurityError: "permissionDenied",
  NotFoundError: "deviceNotFound",
  NotReadableError: "deviceInUse",
  AbortError: "deviceInUse",
  OverconstrainedError: "deviceUnsuitable",
  TypeError: "deviceUnsuitable",
};

/** An error of `navigator.mediaDevices` as ours. */
export function deviceError(error) {
  if (error instanceof TidewireError) return error;
  return new TidewireError(DEVICE_CODES[error.name] ?? "deviceUnsuitable", error.message || error.name);
}
