/** A sign-in lasts as long as somebody types or presses, and no longer. */

import assert from "node:assert/strict";
import test, { mock } from "node:test";

import { EVERY_MS, Here, LAST_MS, SOON_MS } from "../../static/js/here.js";

const IDLE_MS = 900_000;
const SHIFT_MS = 43_200_000;

/** Somebody at a page; `asked` counts the requests, `reached`: whether the desk answers. */
function aPage() {
  mock.timers.enable({ apis: ["Date"], now: 0 });
  const page = { asked: 0, reached: true };
  const here = new Here(IDLE_MS, SHIFT_MS, async () => {
    page.asked += 1;
    return page.reached;
  });
  return Object.assign(page, { here });
}

test.afterEach(() => mock.timers.reset());

test("an hour of typing keeps the sign-in, with a request a minute at most", async () => {
  const page = aPage();
  for (let second = 0; second < 3600; second += 5) {
    mock.timers.tick(5000);
    await page.here.used();
    assert.equal(page.here.ending, "");
  }
  assert.equal(page.asked, 3_600_000 / EVERY_MS);
});

test("without a hand nothing is asked, and the end is told before it comes", async () => {
  const page = aPage();
  mock.timers.tick(IDLE_MS - SOON_MS);
  assert.equal(page.here.ending, "");
  mock.timers.tick(1);
  assert.equal(page.here.ending, "idle");
  assert.equal(page.asked, 0);
  await page.here.used();
  assert.deepEqual([page.here.ending, page.asked], ["", 1]);
});

test("what the desk has not heard does not count, and is said again", async () => {
  const page = aPage();
  page.reached = false;
  mock.timers.tick(IDLE_MS - SOON_MS + 1);
  assert.equal(await page.here.used(), false);
  assert.equal(page.here.ending, "idle");
  page.reached = true;
  assert.equal(await page.here.used(), true);
  assert.equal(page.here.ending, "");
});

test("another page that is used keeps this one from a warning", () => {
  const page = aPage();
  mock.timers.tick(IDLE_MS - SOON_MS);
  page.here.heard();
  mock.timers.tick(EVERY_MS);
  assert.equal(page.here.ending, "");
});

test("the end of the shift is told beforehand, and no use puts it off", async () => {
  const page = aPage();
  for (let passed = 0; passed <= SHIFT_MS - LAST_MS; passed += EVERY_MS) {
    mock.timers.tick(EVERY_MS);
    await page.here.used();
  }
  assert.equal(page.here.ending, "last");
  assert.equal(page.here.ends, SHIFT_MS);
});
