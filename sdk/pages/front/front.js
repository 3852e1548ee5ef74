// The front page says what is needed from where it was opened: nothing on the server's own machine, elsewhere a token
// and https.

import { isLocal } from "../shared/entry.js";
import { $, h } from "../shared/ui.js";

if (!isLocal) {
  const parts = ["You are not on the server's own machine, so the pages ask for a token. Its owner prints one with ", h("code", {}, "tidewire token --type register"), "."];
  if (!isSecureContext) parts.push(" Browsers also give no camera to a page that came by http://: the server speaks https:// when it is started with ", h("code", {}, "--tls self-signed"), ".");
  $("#elsewhere").append(...parts);
  $("#elsewhere").hidden = false;
}
