/** Which browsers are another app's. */

import assert from "node:assert/strict";
import test from "node:test";

import { isInsideAnApp } from "../../static/js/elsewhere.js";

const ANDROID = "Mozilla/5.0 (Linux; Android 14; Pixel 8{}) AppleWebKit/537.36 (KHTML, like Gecko) {}Chrome/131.0 Mobile Safari/537.36{}";
const IOS = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko){}";

/** @param {string} form @param {string[]} parts */
const agent = (form, ...parts) => parts.reduce((text, part) => text.replace("{}", part), form);

test("a phone's own browser is nobody else's", () => {
  for (const own of [agent(ANDROID, "", "", ""), agent(IOS, " Version/18.1 Mobile/15E148 Safari/604.1"), "Mozilla/5.0 Firefox/140.0"]) {
    assert.equal(isInsideAnApp(own), false, own);
  }
});

test("what a message app or a mail app opens is inside it", () => {
  const inside = [
    agent(ANDROID, "; wv", "Version/4.0 ", ""),
    agent(ANDROID, "", "", " [FB_IAB/FB4A;FBAV/490.0;]"),
    agent(ANDROID, "", "", " Instagram 350.0"),
    agent(IOS, " Mobile/15E148"),
    agent(IOS, " Mobile/15E148 [FBAN/FBIOS;FBAV/490.0]"),
    agent(IOS, " GSA/340.0 Mobile/15E148 Safari/604.1"),
  ];
  for (const one of inside) assert.equal(isInsideAnApp(one), true, one);
});
