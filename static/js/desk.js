/** Every staff page: the clocks, the live part, the forms, the call. */

import { alertsButton, connectionBanner, sayThresholds, watchBoard, watchCase } from "./alerts.js";
import "./answers.js";
import "./filter.js";
import { keepDrafts } from "./drafts.js";
import "./file-text.js";
import { focusTrouble, sendForms } from "./forms.js";
import { stayHere } from "./here.js";
import { keepForm } from "./keep.js";
import { follow, followBeside } from "./live.js";
import { keepForProof } from "./proof.js";
import "./timer.js";
import "./notes.js";
import "./wall.js";
import "./officer-call.js";

connectionBanner();
stayHere(document.getElementById("here"));
sayThresholds();
focusTrouble(document);
keepForm(document.getElementById("main"));
keepDrafts(document.getElementById("case"));
keepForProof(document.getElementById("main"));
alertsButton(document.getElementById("alerts"));

const live = document.querySelector("[data-live]");
sendForms(live instanceof HTMLElement ? live : document.body);
if (live instanceof HTMLElement) {
  if (live.id === "case") watchCase(live);
  else watchBoard(live);
  follow(live, live.dataset.live ?? "", Number(live.dataset.position ?? 0));
}
const beside = document.getElementById("waiting");
if (beside) {
  watchBoard(beside);
  followBeside(beside, "waiting");
}
