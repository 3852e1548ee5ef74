// The stage: tiles, and where each of them stands. Equal tiles; one large with the others in a strip while a screen is
// shared, a tile is pinned, or whoever speaks is to be large; two people on a whole stage, oneself in the corner.
//
// Order of the tiles is the order in which they came, so that nobody jumps about. Positions are styles set by script and
// animated by the style sheet.

import { grid, spotlight } from "/sdk/tidewire.js";

export class Stage {
  #root;
  #tiles = [];
  #pinned;
  #followsSpeaker = false;
  /** Who spoke last. */
  #lead;
  #planned = false;
  #timer;

  /** `root`: the list. `onChange` is told the number of tiles for which there was no room. */
  constructor(root, onChange = () => {}) {
    this.#root = root;
    this.onChange = onChange;
    new ResizeObserver(() => this.arrange()).observe(root);
    this.#listen();
  }

  get tiles() {
    return this.#tiles;
  }

  add(tile) {
    tile.onAspect = () => this.arrange();
    const at = this.#placeFor(tile);
    this.#tiles.splice(at, 0, tile);
    this.#root.insertBefore(tile.element, this.#root.children[at] ?? null);
    this.arrange();
  }

  /** The main picture stands first and oneself last: the others are whom one came for. */
  #placeFor(tile) {
    if (tile.isMain) return 0;
    return tile.mine ? this.#tiles.length : this.#tiles.findLastIndex((other) => !other.mine || other.isMain) + 1;
  }

  remove(tile) {
    this.#tiles = this.#tiles.filter((other) => other !== tile);
    if (this.#pinned === tile) this.#pinned = undefined;
    if (this.#lead === tile) this.#lead = undefined;
    tile.close();
    this.arrange();
  }

  clear() {
    for (const tile of [...this.#tiles]) this.remove(tile);
  }

  stop() {
    clearInterval(this.#timer);
  }

  /** Whoever speaks is large, until somebody is pinned; or all are equal again, and nobody is pinned. */
  follow(followsSpeaker) {
    this.#followsSpeaker = followsSpeaker;
    if (!followsSpeaker && this.#pinned) return this.togglePin(this.#pinned);
    this.arrange();
  }

  /** It speaks before all others. */
  lead(tile) {
    this.#lead = tile;
    if (this.#followsSpeaker) this.arrange();
  }

  /** Beside a large picture one click is enough to have another large; equal tiles take two. */
  pick(tile, isTwice) {
    if (isTwice !== Boolean(this.#spot)) this.togglePin(tile);
  }

  /** The next picture is large; after the last, whichever would be by itself. */
  pinNext() {
    const next = this.#tiles[this.#tiles.indexOf(this.#pinned) + 1];
    const tile = next ?? this.#pinned;
    if (tile) this.togglePin(tile);
    return this.#pinned;
  }

  togglePin(tile) {
    this.#pinned = this.#pinned === tile ? undefined : tile;
    for (const other of this.#tiles) other.pin(other === this.#pinned);
    this.arrange();
  }

  /** Places everything anew, once for all changes of this moment. */
  arrange() {
    if (this.#planned) return;
    this.#planned = true;
    requestAnimationFrame(() => {
      this.#planned = false;
      this.#place();
    });
  }

  /** What is large: what was pinned, or the newest screen of somebody else's, or where that is wanted whoever speaks. */
  get #spot() {
    return this.#pinned ?? this.#tiles.findLast(({ content, mine }) => content === "screen" && !mine) ?? this.#speaker;
  }

  /** Before anybody has spoken, whoever came first; with nobody else there all is as it was. */
  get #speaker() {
    if (!this.#followsSpeaker) return undefined;
    return this.#lead ?? this.#tiles.find(({ mine }) => !mine);
  }

  #place() {
    const { clientWidth: width, clientHeight: height } = this.#root;
    if (!width || !height) return;
    const area = { width, height, gap: width < 600 ? 6 : 10 };
    const rects = this.#rects(area);
    let left = 0;
    this.#tiles.forEach(({ element }, index) => {
      const rect = rects[index];
      const isSeen = rect.width > 0;
      if (!isSeen) left += 1;
      element.toggleAttribute("data-unseen", !isSeen);
      element.toggleAttribute("data-small", isSeen && rect.width < SMALL);
      element.toggleAttribute("data-tiny", isSeen && rect.width < TINY);
      if (!isSeen) return;
      element.style.translate = `${rect.x}px ${rect.y}px`;
      element.style.width = `${rect.width}px`;
      element.style.height = `${rect.height}px`;
      element.toggleAttribute("data-placed", true);
    });
    this.onChange(left);
  }

  #rects(area) {
    const { width, height } = area;
    const spot = this.#spot;
    const index = this.#tiles.indexOf(spot);
    const isFloating = !spot && this.#tiles.length === 2 && this.#tiles[1].mine;
    this.#root.toggleAttribute("data-spotlit", index >= 0);
    this.#tiles.forEach(({ element }, at) => {
      element.toggleAttribute("data-floating", isFloating && at === 1);
      element.toggleAttribute("data-spot", at === index);
    });
    if (index >= 0 && this.#tiles.length > 1) return besideSpot(this.#tiles, index, area);
    if (isFloating) return [{ x: 0, y: 0, width, height }, corner(area, this.#tiles[1].aspect)];
    if (this.#tiles.length === 1) return [alone(area, this.#tiles[0])];
    return widest(this.#tiles, area);
  }

  /** Ten times a second: enough for an eye, next to nothing for a processor. */
  #listen() {
    this.#timer = setInterval(() => {
      if (document.hidden) return;
      const now = performance.now();
      for (const tile of this.#tiles) if (tile.level) tile.hear(tile.level(), now);
    }, 100);
  }
}

/** One large, the others in a strip; when the strip is too short for all, in a block of smaller ones. */
function besideSpot(tiles, index, area) {
  const isUpright = area.height > area.width;
  const shapes = tiles.map((tile, at) => ({ aspect: at === index ? whole(tile, isUpright) : isUpright ? 1 : 4 / 3 }));
  const rects = spotlight(shapes, { ...area, index, strip: isUpright ? 0.16 : 0.18 });
  return rects.every(({ width }) => width > 0) ? rects : besideBlock(shapes, index, area, isUpright);
}

function besideBlock(shapes, index, { width, height, gap }, isUpright) {
  const share = isUpright ? { width, height: height * 0.3 } : { width: width * 0.26, height };
  const large = isUpright ? { width, height: height - share.height - gap } : { width: width - share.width - gap, height };
  const [first] = grid([shapes[index]], large);
  const others = shapes.toSpliced(index, 1);
  let seen = others.length;
  let rects = [];
  for (; seen > 1; seen -= 1) {
    rects = grid(others.slice(0, seen), { ...share, gap });
    if (rects[0].width >= NARROWEST) break;
  }
  const [x, y] = isUpright ? [0, large.height + gap] : [large.width + gap, 0];
  const rest = others.map((_, at) => (rects[at] ? { ...rects[at], x: rects[at].x + x, y: rects[at].y + y } : { x: 0, y: 0, width: 0, height: 0 }));
  return rest.toSpliced(index, 0, first);
}

/** Below that nobody can be told from another. */
const NARROWEST = 84;

/** Equal tiles of the shape that covers most: cameras are cropped a little rather than shown small. */
function widest(tiles, area) {
  let best;
  for (const aspect of area.width > area.height ? LYING : UPRIGHT) {
    const rects = grid(tiles.map(() => ({ aspect })), area);
    const covered = rects.reduce((sum, { width, height }) => sum + width * height, 0);
    if (!best || covered > best.covered * 1.08) best = { rects, covered };
  }
  return best.rects;
}

/** What cameras give, and what still shows all of a face; upright, what a phone has room for. */
const LYING = [16 / 9, 4 / 3];
const UPRIGHT = [16 / 9, 4 / 3, 1, 3 / 4];
const SMALL = 260;
const TINY = 130;

function corner({ width, height, gap }, aspect = 16 / 9) {
  const area = Math.min(width * height * 0.055, 42_000);
  const own = Math.sqrt(area * aspect);
  return { x: width - own - gap - 4, y: height - own / aspect - gap - 4, width: own, height: own / aspect };
}

function alone(area, tile) {
  return grid([{ aspect: whole(tile, area.height > area.width) }], area)[0];
}

/** The whole of a main picture and of a screen; a camera may be cropped a little to fill more of an upright stage. */
function whole({ aspect = 16 / 9, isMain, content }, isUpright) {
  const isCropped = isUpright && !isMain && content === "camera";
  return isCropped ? Math.max(Math.min(aspect, 1), 3 / 4) : aspect;
}
