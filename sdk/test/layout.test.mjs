// Properties that every layout has, over many random ones; and a few that one can draw by hand.

import assert from "node:assert/strict";
import { test } from "node:test";

import { grid, spotlight } from "../tidewire.js";

const CLOSE = 1e-6;

function assertSound(rects, tiles, { width, height }, what) {
  assert.equal(rects.length, tiles.length, what);
  const shown = rects.filter((rect) => rect.width > 0);
  for (const [at, rect] of rects.entries()) {
    for (const value of Object.values(rect)) assert.ok(Number.isFinite(value) && value >= -CLOSE, what);
    assert.ok(
      rect.x + rect.width <= width + CLOSE && rect.y + rect.height <= height + CLOSE,
      `${what}: ${at} leaves the area`,
    );
    if (rect.width > 0)
      assert.ok(Math.abs(rect.width / rect.height - (tiles[at].aspect ?? 16 / 9)) < 1e-3, `${what}: ${at} is bent`);
  }
  for (const [at, a] of shown.entries()) {
    for (const b of shown.slice(at + 1)) assert.ok(apart(a, b), `${what}: two overlap`);
  }
}

function apart(a, b) {
  const beside = (start, length) =>
    a[start] + a[length] <= b[start] + CLOSE || b[start] + b[length] <= a[start] + CLOSE;
  return beside("x", "width") || beside("y", "height");
}

test("tiles never overlap, never leave the area, never lose their aspect", () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  let random = seed + 1;
  const draw = (least, most) => least + ((random = (random * 48_271) % 2_147_483_647) / 2_147_483_647) * (most - least);
  const aspects = [16 / 9, 4 / 3, 9 / 16, undefined];
  for (let round = 0; round < 500; round += 1) {
    const tiles = Array.from({ length: Math.floor(draw(0, 30)) }, () => ({ aspect: aspects[Math.floor(draw(0, 4))] }));
    const area = { width: draw(50, 3_000), height: draw(50, 2_000), gap: Math.floor(draw(0, 12)) };
    const what = `seed ${seed}, round ${round}`;
    assertSound(grid(tiles, area), tiles, area, what);
    const index = Math.floor(draw(0, tiles.length));
    assertSound(spotlight(tiles, { ...area, index }), tiles, area, what);
  }
});

test("no other number of columns would make equal tiles larger", () => {
  for (let count = 1; count <= 25; count += 1) {
    for (const [width, height] of [
      [1_280, 720],
      [390, 844],
      [2_560, 300],
    ]) {
      const [first] = grid(
        Array.from({ length: count }, () => ({})),
        { width, height, gap: 0 },
      );
      for (let columns = 1; columns <= count; columns += 1) {
        const possible = Math.min(width / columns, (height / Math.ceil(count / columns)) * (16 / 9));
        assert.ok(first.width >= possible - CLOSE, `${count} in ${width} x ${height}`);
      }
    }
  }
});

test("three wide tiles stand in two rows, the last in the middle", () => {
  const rects = grid([{}, {}, {}], { width: 1_608, height: 908, gap: 8 });
  assert.deepEqual(
    rects.map(({ x, y, width, height }) => [x, y, width, height].map(Math.round)),
    [
      [0, 0, 800, 450],
      [808, 0, 800, 450],
      [404, 458, 800, 450],
    ],
  );
});

test("a spotlight is the largest, and keeps its place in the order", () => {
  const rects = spotlight([{}, {}, {}], { width: 1_600, height: 900, index: 1 });
  assert.ok(rects[1].width > 3 * rects[0].width);
  assert.equal(rects[0].width, rects[2].width);
});

test("a strip without room for all shows the first ones", () => {
  const rects = spotlight(
    Array.from({ length: 40 }, () => ({})),
    { width: 1_600, height: 900, index: 0 },
  );
  const hidden = rects.findIndex(({ width }) => width === 0);
  assert.ok(hidden > 1);
  assert.ok(rects.slice(hidden).every(({ width }) => width === 0));
});

test("nobody is no rectangle", () => {
  assert.deepEqual(grid([], { width: 100, height: 100 }), []);
  assert.deepEqual(spotlight([], { width: 100, height: 100, index: 0 }), []);
});
