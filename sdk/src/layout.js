// Where tiles go. From tiles and an area to rectangles, one for each tile, in order; nothing overlaps, nothing leaves the
// area, every tile keeps its aspect. Pure.

const ASPECT = 16 / 9;
const GAP = 8;
/** The part of the area that a strip beside a large tile takes. */
const STRIP = 0.2;

export function grid(tiles, { width, height, gap = GAP }) {
  let best = { area: -1, columns: 0, sizes: [] };
  for (let columns = 1; columns <= tiles.length; columns += 1) {
    const rows = Math.ceil(tiles.length / columns);
    const cell = { width: share(width, columns, gap), height: share(height, rows, gap) };
    const sizes = tiles.map((tile) => fitted(tile, cell));
    const area = sizes.reduce((sum, size) => sum + size.width * size.height, 0);
    if (area > best.area) best = { area, columns, sizes };
  }
  return tiles.length === 0 ? [] : placed(best, { width, height, gap });
}

export function spotlight(tiles, { width, height, gap = GAP, index, strip = STRIP }) {
  const large = tiles[index];
  const others = tiles.filter((_, at) => at !== index);
  if (!large || others.length === 0) return grid(tiles, { width, height, gap });
  const [beside, below] = [besideOf, belowOf].map((place) => place(large, others, { width, height, gap, strip }));
  const [first, ...rest] = size(beside[0]) >= size(below[0]) ? beside : below;
  return rest.toSpliced(index, 0, first);
}

/** The largest tile of its aspect in a cell. */
function fitted({ aspect = ASPECT }, cell) {
  const width = Math.max(Math.min(cell.width, cell.height * aspect), 0);
  return { width, height: width / aspect };
}

function share(length, parts, gap) {
  return Math.max((length - gap * (parts - 1)) / parts, 0);
}

/** Cells as large as their largest tile needs, the whole in the middle, the last row in the middle of the others. */
function placed({ columns, sizes }, { width, height, gap }) {
  const cell = { width: most(sizes, "width"), height: most(sizes, "height") };
  const rows = Math.ceil(sizes.length / columns);
  const top = (height - spread(cell.height, rows, gap)) / 2;
  return sizes.map((tile, at) => {
    const row = Math.floor(at / columns);
    const inRow = Math.min(sizes.length - row * columns, columns);
    const left = (width - spread(cell.width, inRow, gap)) / 2;
    return {
      x: left + (at % columns) * (cell.width + gap) + (cell.width - tile.width) / 2,
      y: top + row * (cell.height + gap) + (cell.height - tile.height) / 2,
      ...tile,
    };
  });
}

function most(sizes, name) {
  return Math.max(...sizes.map((tile) => tile[name]));
}

function spread(length, parts, gap) {
  return length * parts + gap * (parts - 1);
}

/** The large tile on the left, the others in a column at the right edge. */
function besideOf(large, others, { width, height, gap, strip }) {
  const column = width * strip;
  const room = { width: width - column - gap, height };
  const tiles = others.map(({ aspect = ASPECT }) => ({ width: column, height: column / aspect }));
  const along = stacked(
    tiles.map((tile) => tile.height),
    height,
    gap,
  );
  const rest = tiles.map((tile, at) => (along[at] === null ? none() : { x: width - column, y: along[at], ...tile }));
  return [centred(large, room), ...rest];
}

/** The large tile above, the others in a row at the lower edge. */
function belowOf(large, others, { width, height, gap, strip }) {
  const row = height * strip;
  const room = { width, height: height - row - gap };
  const tiles = others.map(({ aspect = ASPECT }) => ({ width: row * aspect, height: row }));
  const along = stacked(
    tiles.map((tile) => tile.width),
    width,
    gap,
  );
  const rest = tiles.map((tile, at) => (along[at] === null ? none() : { x: along[at], y: height - row, ...tile }));
  return [centred(large, room), ...rest];
}

/** Where each length begins, the whole in the middle; null from the first that finds no room. */
function stacked(lengths, room, gap) {
  const starts = [];
  let end = 0;
  for (const length of lengths) {
    const start = starts.length === 0 ? 0 : end + gap;
    if (start + length > room) break;
    starts.push(start);
    end = start + length;
  }
  return lengths.map((_, at) => (at < starts.length ? starts[at] + (room - end) / 2 : null));
}

function centred(tile, room) {
  const { width, height } = fitted(tile, room);
  return { x: Math.max((room.width - width) / 2, 0), y: Math.max((room.height - height) / 2, 0), width, height };
}

function none() {
  return { x: 0, y: 0, width: 0, height: 0 };
}

function size({ width, height }) {
  return width * height;
}
