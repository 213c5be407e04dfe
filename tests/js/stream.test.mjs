/** A line that carries nothing any more is noticed, told with the time of its last word, and taken up again. */

import assert from "node:assert/strict";
import test, { mock } from "node:test";

import { Stream } from "../../static/js/stream.js";

const START = Date.UTC(2026, 10, 23, 14, 3);
const breath = () => new Promise(setImmediate);

/** Lets so many seconds pass, one by one. */
async function pass(seconds) {
  for (let n = 0; n < seconds; n += 1) {
    mock.timers.tick(1000);
    for (let m = 0; m < 5; m += 1) await breath();
  }
}

/** A desk whose lines can be written to, and which may be out of reach. */
function aDesk() {
  const desk = { asked: [], lines: [], reached: true };
  const bytes = new TextEncoder();
  globalThis.fetch = async (url, { signal }) => {
    desk.asked.push(url);
    if (!desk.reached) throw new TypeError("out of reach");
    let line;
    const body = new ReadableStream({ start: (controller) => (line = controller) });
    signal.addEventListener("abort", () => line.error(signal.reason));
    desk.lines.push({ write: (text) => line.enqueue(bytes.encode(text)) });
    return { ok: true, status: 200, body };
  };
  return desk;
}

async function aPage(desk) {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: START });
  const heard = [];
  new Stream("key", (message) => heard.push(message)).carry(new Map([["board", 7]]));
  await pass(0);
  await breath();
  desk.lines[0].write("id: 8\nevent: board\ndata: one\n\n");
  for (let n = 0; n < 5; n += 1) await breath();
  return heard;
}

test.afterEach(() => mock.timers.reset());

test("pings alone keep a line alive", async () => {
  const desk = aDesk();
  const heard = await aPage(desk);
  for (let n = 0; n < 6; n += 1) {
    await pass(10);
    desk.lines[0].write(": ping\n\n");
  }
  assert.deepEqual(heard, [{ type: "fragment", topic: "board", html: "one", position: 8 }]);
});

test("a silent line is told within twenty seconds, with the time of its last word", async () => {
  const desk = aDesk();
  const heard = await aPage(desk);
  await pass(17);
  assert.equal(heard.length, 1);
  await pass(3);
  assert.deepEqual(heard[1], { type: "live", since: new Date(START) });
});

test("it comes back by itself, with the whole board", async () => {
  const desk = aDesk();
  const heard = await aPage(desk);
  desk.reached = false;
  await pass(40);
  assert.equal(heard.at(-1).since.getTime(), START);
  desk.reached = true;
  await pass(5);
  desk.lines.at(-1).write("id: 9\nevent: board\ndata: two\n\n");
  for (let n = 0; n < 5; n += 1) await breath();
  assert.deepEqual(heard.slice(-2), [
    { type: "live", since: null },
    { type: "fragment", topic: "board", html: "two", position: 9 },
  ]);
  assert.ok(desk.asked.length > 5, "it was tried again and again");
  assert.deepEqual([desk.asked[0], desk.asked.at(-1)], ["/live?since=7&topics=board", "/live?since=8&topics=board"]);
});

test("a page that is behind what is carried has it carried from there", async () => {
  const desk = aDesk();
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: START });
  const stream = new Stream("key", () => {});
  stream.carry(new Map([["board", 7]]));
  await pass(0);
  stream.carry(new Map([["board", 9]]));
  await pass(1);
  assert.deepEqual(desk.asked, ["/live?since=7&topics=board"]);
  stream.carry(new Map([["board", 5]]));
  await pass(1);
  assert.deepEqual(desk.asked.slice(1), ["/live?since=5&topics=board"]);
});

/** The worker's side, as it runs in a browser that shares it. @returns what opens a tab, and gives what that hears */
async function aWorker() {
  mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: START });
  Object.assign(globalThis, { SharedWorkerGlobalScope: class {}, name: "key" });
  await import("../../static/js/stream.js?shared");
  return (shown) => {
    const heard = [];
    const port = { postMessage: (message) => heard.push(message), addEventListener: () => {} };
    globalThis.onconnect({ ports: [port] });
    port.onmessage({ data: shown });
    return heard;
  };
}

test("a tab that is fresher than what the others heard last is not set back to it", async () => {
  const desk = aDesk();
  const open = await aWorker();
  const first = open({ topic: "board", position: 7 });
  await pass(1);
  desk.lines[0].write("id: 8\nevent: board\ndata: one\n\n");
  await pass(0);
  for (let n = 0; n < 5; n += 1) await breath();
  const fragments = (heard) => heard.filter(({ type }) => type === "fragment").map(({ html }) => html);
  assert.deepEqual(fragments(first), ["one"]);
  assert.deepEqual(fragments(open({ topic: "board", position: 9 })), []);
  assert.deepEqual(fragments(open({ topic: "board", position: 7 })), ["one"]);
});
