/** Every staff page: the clocks, the live part, the forms, the call. */

import { alertsButton, connectionBanner, sayThresholds, watchBoard, watchCase } from "./alerts.js";
import { focusTrouble, sendForms } from "./forms.js";
import { follow } from "./live.js";
import "./timer.js";
import "./notes.js";
import "./officer-call.js";

connectionBanner();
sayThresholds();
focusTrouble(document);
alertsButton(document.getElementById("alerts"));

const live = document.querySelector("[data-live]");
sendForms(live instanceof HTMLElement ? live : document.body);
if (live instanceof HTMLElement) {
  if (live.id === "case") watchCase(live);
  else watchBoard(live);
  follow(live);
}
