/** How much is sent over a bad network: each test drives the decision second by second, without a browser. */

import assert from "node:assert/strict";
import test from "node:test";

import { RUNGS, begin, decide, renewed } from "../../static/js/ladder.js";

const GOOD = { kbit: 1500, sentKbit: 900, loss: 0, delayMs: 60 };

/** A call that goes on for so many seconds of the same weather; gives the steps taken, with their reasons. */
function weather(call, seconds, sample) {
  const steps = [];
  for (let n = 0; n < seconds; n += 1) {
    call.at += 1;
    const before = call.ladder.step;
    const { ladder, why } = decide(call.ladder, { at: call.at, ...GOOD, ...sample });
    call.ladder = ladder;
    if (why) steps.push(`${before} > ${ladder.step}: ${why}`);
    else assert.equal(ladder.step, before, "no step without a reason");
  }
  return steps;
}

const aCall = () => ({ at: 100, ladder: begin(100) });

test("on a good network the whole picture is sent and stays", () => {
  assert.deepEqual(weather(aCall(), 600, {}), []);
});

test("one or two bad seconds change nothing", () => {
  const call = aCall();
  weather(call, 10, {});
  for (let n = 0; n < 20; n += 1) {
    assert.deepEqual(weather(call, 2, { loss: 0.9 }), []);
    assert.deepEqual(weather(call, 1, {}), []);
  }
});

test("the step that the way carries is taken at once, whatever lies between", () => {
  const reasons = {
    "video_480 > video_240: loss": { loss: 0.15 },
    "video_480 > stills: loss": { loss: 0.25 },
    "video_480 > audio: loss": { loss: 0.4 },
    "video_480 > video_240: bandwidth": { kbit: 200, sentKbit: 190 },
    "video_480 > stills: bandwidth": { kbit: 80, sentKbit: 75 },
    "video_480 > audio: bandwidth": { kbit: 40, sentKbit: 39 },
    "video_480 > audio: delay": { delayMs: 3500 },
  };
  for (const [step, sample] of Object.entries(reasons)) {
    const call = aCall();
    weather(call, 10, {});
    assert.deepEqual(weather(call, 5, sample), [step]);
  }
});

test("nobody is rung before sound alone has been tried, and what was lost of the picture is not held against it", () => {
  const call = aCall();
  assert.deepEqual(weather(call, 9, { loss: 0.9 }), ["video_480 > audio: loss"]);
  assert.deepEqual(weather(call, 5, { loss: 0.2 }), []);
  assert.deepEqual(weather(call, 9, { loss: 0.6 }), ["audio > ring_back: loss"]);
});

test("the browser's estimate is not believed while it begins", () => {
  assert.deepEqual(weather(aCall(), 5, { kbit: 100 }), []);
  assert.deepEqual(weather(aCall(), 10, { kbit: 100 }), ["video_480 > stills: bandwidth"]);
});

test("after a step up the estimate has the time to grow that it needs", () => {
  const call = aCall();
  weather(call, 10, { loss: 0.25 });
  assert.deepEqual(weather(call, 9, {}), ["stills > video_240: recovered"]);
  for (let kbit = 68; kbit < 120; kbit *= 1.08) assert.deepEqual(weather(call, 1, { kbit, sentKbit: kbit, loss: 0.1 }), []);
  assert.deepEqual(weather(call, 20, { kbit: 125, sentKbit: 125, loss: 0.1 }), []);
});

test("loss is believed at once: the first seconds of a call are as bad as they are", () => {
  assert.deepEqual(weather(aCall(), 4, { loss: 0.4 }), ["video_480 > audio: loss"]);
});

test("without any report of the other end, and without an estimate, nothing is decided", () => {
  const call = aCall();
  weather(call, 10, { loss: 0.15 });
  assert.equal(call.ladder.step, "video_240");
  assert.deepEqual(weather(call, 300, { loss: null, kbit: null, delayMs: null }), []);
});

test("it climbs one step at a time, not before eight good seconds each", () => {
  const call = aCall();
  weather(call, 10, { loss: 0.4 });
  assert.equal(call.ladder.step, "audio");
  const from = call.at;
  assert.deepEqual(weather(call, 60, {}), [
    "audio > stills: recovered",
    "stills > video_240: recovered",
    "video_240 > video_480: recovered",
  ]);
  assert.ok(call.ladder.since - from >= 24, "three times eight seconds");
});

test("what is only just good enough is no reason to climb", () => {
  const call = aCall();
  weather(call, 10, { loss: 0.15 });
  assert.deepEqual(weather(call, 300, { loss: 0.08 }), [], "10 % is the limit above: 8 % is too near");
});

test("an estimate that is small because little is sent does not keep the picture down for ever", () => {
  const call = aCall();
  weather(call, 10, { loss: 0.4 });
  assert.deepEqual(weather(call, 9, { kbit: 60, sentKbit: 30 }), ["audio > stills: recovered"]);
});

test("nor does it take down a step that gets through", () => {
  const call = aCall();
  weather(call, 10, { loss: 0.25 });
  assert.equal(call.ladder.step, "stills");
  assert.deepEqual(weather(call, 60, { kbit: 68, sentKbit: 40, loss: 0.15 }), []);
});

test("an estimate that is used up does", () => {
  const call = aCall();
  weather(call, 10, { loss: 0.4 });
  assert.deepEqual(weather(call, 120, { kbit: 40, sentKbit: 38 }), []);
});

test("a network that carries the next step for seconds only is tried more and more seldom", () => {
  const call = aCall();
  let climbs = 0;
  for (let n = 0; n < 600; n += 1) {
    const full = call.ladder.step === "video_480";
    climbs += weather(call, 1, full ? { loss: 0.15 } : {}).filter((step) => step.endsWith("recovered")).length;
  }
  assert.ok(climbs >= 4 && climbs <= 9, `${climbs} times in ten minutes, not once every eleven seconds`);
});

test("after a break the estimate begins anew, and a picture is sent again so that it is seen that both are there", () => {
  const call = aCall();
  weather(call, 20, { loss: 0.6 });
  assert.equal(call.ladder.step, "ring_back");
  call.ladder = renewed(call.ladder, call.at);
  assert.equal(call.ladder.step, "stills");
  const other = aCall();
  weather(other, 10, { loss: 0.15 });
  other.ladder = renewed(other.ladder, other.at);
  assert.equal(other.ladder.step, "video_240");
  assert.deepEqual(weather(other, 5, { kbit: 50 }), []);
});

test("every rung asks for less than the one above, and the last for nothing", () => {
  for (let n = 1; n < RUNGS.length; n += 1) {
    assert.ok(RUNGS[n].kbit < RUNGS[n - 1].kbit && RUNGS[n].loss > RUNGS[n - 1].loss && RUNGS[n].delayMs > RUNGS[n - 1].delayMs);
  }
  const worst = { loss: 1, kbit: 0, delayMs: 1e9 };
  assert.deepEqual(weather(aCall(), 60, worst), ["video_480 > audio: loss", "audio > ring_back: loss"]);
});
