// Tidewire's JavaScript SDK. What stands here is all that a page uses; `tidewire.d.ts` beside it says how.
// In the files under `src`, names that begin with an underscore are for those files alone.

export { TidewireError } from "./src/errors.js";
export { Emitter } from "./src/events.js";
export { Client } from "./src/client.js";
export { Channel } from "./src/channel.js";
export { Connection } from "./src/connection.js";
export { Upstream } from "./src/upstream.js";
export { Downstream } from "./src/downstream.js";
export { RemoteMedia } from "./src/remote.js";
export { LocalMedia } from "./src/media.js";
export { devices, onDevices } from "./src/devices.js";
export { grid, spotlight } from "./src/layout.js";
