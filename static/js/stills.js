/**
 * A picture every two seconds in place of a moving one. Made of the camera's own track by hand: an encoder that is asked
 * for half a picture a second sends none at all (Chromium 156).
 */

const EVERY_MS = 2000;
const HEIGHT = 240;

export class Stills {
  #screen = document.createElement("video");
  #canvas = document.createElement("canvas");
  #timer = 0;

  /** @param {MediaStreamTrack} camera */
  constructor(camera) {
    this.#screen.muted = this.#screen.playsInline = true;
    this.#screen.srcObject = new MediaStream([camera]);
    const context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext("2d", { alpha: false }));
    this.track = /** @type {CanvasCaptureMediaStreamTrack} */ (this.#canvas.captureStream(0).getVideoTracks()[0]);
    const take = () => {
      const { videoWidth: width, videoHeight: height } = this.#screen;
      if (!width) return;
      const wanted = Math.round((width * HEIGHT) / height / 2) * 2;
      if (this.#canvas.width !== wanted) Object.assign(this.#canvas, { width: wanted, height: HEIGHT });
      context.drawImage(this.#screen, 0, 0, wanted, HEIGHT);
      this.track.requestFrame();
    };
    this.#screen.play().then(take, () => {});
    this.#timer = setInterval(take, EVERY_MS);
  }

  stop() {
    clearInterval(this.#timer);
    this.track.stop();
    this.#screen.srcObject = null;
  }
}
