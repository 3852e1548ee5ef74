// Elements of the tests' own: a size, a place in view or out of it, and a picture, told of as a browser tells.

class Observer {
  static all = new Set();
  targets = new Set();

  constructor(tell) {
    this.tell = tell;
    Observer.all.add(this);
  }

  observe(target) {
    this.targets.add(target);
  }

  disconnect() {
    Observer.all.delete(this);
  }
}

class Sizes extends Observer {}
class Sights extends Observer {}

/** Observers that are still at work. */
export const watching = () => Observer.all.size;

function tell(kind, target, entry) {
  for (const observer of Observer.all)
    if (observer instanceof kind && observer.targets.has(target)) observer.tell([entry]);
}

export class Video extends EventTarget {
  srcObject = null;
  objectFit = "contain";
  videoWidth = 0;
  videoHeight = 0;

  constructor(width, height) {
    super();
    this.resize(width, height);
  }

  resize(width, height) {
    Object.assign(this, { clientWidth: width, clientHeight: height });
    tell(Sizes, this, {});
  }

  scroll(isIntersecting) {
    tell(Sights, this, { isIntersecting });
  }

  play(width, height) {
    Object.assign(this, { videoWidth: width, videoHeight: height });
    this.dispatchEvent(new Event("resize"));
  }
}

export class Page extends EventTarget {
  visibilityState = "visible";
  pictureInPictureElement = null;

  turn(visibilityState) {
    this.visibilityState = visibilityState;
    this.dispatchEvent(new Event("visibilitychange"));
  }
}

globalThis.ResizeObserver = Sizes;
globalThis.IntersectionObserver = Sights;
globalThis.window = new EventTarget();
globalThis.devicePixelRatio = 2;
globalThis.getComputedStyle = ({ objectFit }) => ({ objectFit });
