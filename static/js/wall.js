/** A wall board stays lit: as long as it is shown, this screen does not sleep. */

if (document.documentElement.classList.contains("rvr-wall") && "wakeLock" in navigator) {
  const stay = () => {
    // Refused on low battery, or by a policy of the force: the board is there all the same.
    if (document.visibilityState === "visible") navigator.wakeLock.request("screen").catch(() => {});
  };
  document.addEventListener("visibilitychange", stay);
  stay();
}
