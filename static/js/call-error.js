/** What can go wrong in a call, by codes that the page turns into sentences. */

/** Something a person may have to be told; `code` is what the page looks up. */
export class CallError extends Error {
  /**
   * @param {string} code  `insecure`, `denied`, `notfound`, `busy`, `unsupported`, `ended`, or a problem+json code
   * @param {unknown} [cause]
   */
  constructor(code, cause) {
    super(code, { cause });
    this.name = "CallError";
    this.code = code;
  }
}

/** The server is busy or away; it may say for how long. */
export class TryLater extends Error {
  /** @param {number} afterMs */
  constructor(afterMs) {
    super("try later");
    this.afterMs = afterMs;
  }
}
