/** A tap answers the question that whoever tapped has read. */

import assert from "node:assert/strict";
import test, { mock } from "node:test";

import { Asked, READ_MS } from "../../static/js/asked.js";

const breath = () => new Promise(setImmediate);

/** Lets so much time pass. */
async function pass(ms) {
  mock.timers.tick(ms);
  await breath();
}

function aScreen() {
  mock.timers.enable({ apis: ["setTimeout"] });
  const [yes, no] = [{ disabled: false }, { disabled: false }];
  return { asked: new Asked(yes, no), ready: () => !yes.disabled && !no.disabled };
}

test.afterEach(() => mock.timers.reset());

test("a question stays until it is answered or taken back, and the most urgent one comes next", () => {
  const { asked } = aScreen();
  assert.equal(asked.show(["recording", "still"]), true);
  assert.equal(asked.show(["private", "recording", "still"]), false);
  assert.equal(asked.one, "recording");
  assert.equal(asked.show(["private", "still"]), true);
  assert.equal(asked.one, "private");
  assert.equal(asked.show([]), true);
  assert.equal(asked.show([]), false);
  assert.equal(asked.one, "");
});

test("what has just come can be read before it can be answered", async () => {
  const { asked, ready } = aScreen();
  asked.show(["recording"]);
  await pass(READ_MS - 1);
  assert.equal(ready(), false);
  await pass(1);
  assert.equal(ready(), true);
  asked.show(["private"]);
  assert.equal(ready(), false);
});

test("while an answer is on its way no second one is given, and then, if the question still stands, again", async () => {
  const { asked, ready } = aScreen();
  asked.show(["recording"]);
  await pass(READ_MS);
  let heard = () => {};
  asked.answering(new Promise((resolve) => (heard = resolve)));
  await pass(60_000);
  assert.equal(ready(), false);
  heard();
  await breath();
  await pass(READ_MS);
  assert.equal(ready(), true);
});

test("the answer to one question, heard late, does not open the next before its time", async () => {
  const { asked, ready } = aScreen();
  asked.show(["recording"]);
  await pass(READ_MS);
  let heard = () => {};
  asked.answering(new Promise((resolve) => (heard = resolve)));
  await pass(READ_MS);
  heard();
  await breath();
  await pass(READ_MS - 1);
  asked.show(["still"]);
  await pass(1);
  assert.equal(ready(), false);
  await pass(READ_MS - 1);
  assert.equal(ready(), true);
});
