/**
 * Pages that are shown inside another app, which often gives them no camera and forgets the cookie: the way out is the
 * same link in the phone's own browser.
 */

/** How the browsers inside the apps name themselves: Facebook, Instagram, Line, Snapchat, Google's, and any WebView of
 * Android; on iOS a WebView says no "Safari". */
const INSIDE = /FBAN|FBAV|Instagram|Line\/|Snapchat|GSA\/|; wv\)|iPhone(?!.*Safari)/;

/** @param {string} [agent] */
export function isInsideAnApp(agent = navigator.userAgent) {
  return INSIDE.test(agent);
}
