// How large a video is shown, and whether anybody sees it: watches one element, and tells of changes when they are over.

/** Tiles move for about so long when they are placed anew; all that moved is told of at once. */
const SETTLE_MS = 300;
/** What the wire has room for. */
const PIXELS_MAX = 65_535;

const unsettled = new Set();
let timer;

export class Showing {
  #element;
  #changed;
  #isInView = true;
  #wish = {};
  #over = new AbortController();
  #observers;

  /** `changed()` is called when `wish` is another one. */
  constructor(element, changed) {
    this.#element = element;
    this.#changed = changed;
    const sizes = new ResizeObserver(this.#look);
    const sights = new IntersectionObserver((entries) => {
      this.#isInView = entries.at(-1).isIntersecting;
      this.#look();
    });
    this.#observers = [sizes, sights];
    for (const observer of this.#observers) observer.observe(element);
    // The picture's own shape decides how much of it an element shows.
    this.#listen(element, ["resize", "enterpictureinpicture", "leavepictureinpicture"]);
    this.#listen(document, ["visibilitychange"]);
    // Of a window that has moved to a finer screen nothing else tells.
    this.#listen(window, ["resize"]);
    this.#look();
  }

  /** What the element needs; nothing while that is not known yet. */
  get wish() {
    return this.#wish;
  }

  close() {
    this.#over.abort();
    unsettled.delete(this);
    for (const observer of this.#observers) observer.disconnect();
  }

  _measure() {
    const before = JSON.stringify(this.#wish);
    this.#wish = this.#isSeen ? needed(this.#element) : { paused: true };
    if (JSON.stringify(this.#wish) !== before) this.#changed();
  }

  get #isSeen() {
    const isOutside = document.pictureInPictureElement === this.#element;
    return isOutside || (this.#isInView && document.visibilityState === "visible");
  }

  #listen(target, names) {
    for (const name of names) target.addEventListener(name, this.#look, { signal: this.#over.signal });
  }

  #look = () => {
    if (this.#over.signal.aborted) return;
    unsettled.add(this);
    timer ??= setTimeout(settle, SETTLE_MS);
  };
}

function settle() {
  timer = undefined;
  const due = [...unsettled];
  unsettled.clear();
  for (const showing of due) showing._measure();
}

/** The whole picture as it is shown, in pixels of the screen: an element that is covered by it shows a part. */
function needed(element) {
  const { clientWidth: width, clientHeight: height, videoWidth, videoHeight } = element;
  const aspect = videoWidth / videoHeight || width / height;
  const choose = getComputedStyle(element).objectFit === "cover" ? Math.max : Math.min;
  const shown = choose(width, height * aspect) * devicePixelRatio;
  return shown > 0 ? { width: pixels(shown), height: pixels(shown / aspect) } : { paused: true };
}

function pixels(length) {
  return Math.min(Math.max(Math.round(length), 1), PIXELS_MAX);
}

/** What all elements together need that show one video. */
export function together(showings) {
  const wishes = [...showings].map(({ wish }) => wish);
  const seen = wishes.filter(({ paused }) => !paused);
  if (wishes.length > 0 && seen.length === 0) return { paused: true };
  const most = (name) => Math.max(...seen.map((wish) => wish[name]));
  return seen.length > 0 && seen.every(({ width }) => width) ? { width: most("width"), height: most("height") } : {};
}
