// What a user gets: small, typed, and as the types say.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

import ts from "typescript";

import { page, written } from "../reference.mjs";
import "./lib/peers.mjs";
import { served } from "./lib/served.mjs";

const home = join(import.meta.dirname, "..");
const SIZE_MAX = 30_000;
const LENGTH_MAX = 400;
const files = ["tidewire.js", ...readdirSync(join(home, "src")).map((name) => `src/${name}`)];
const textOf = (name) => readFileSync(join(home, name), "utf8");

test("the whole SDK is at most 30 kB as a page loads it, file by file", () => {
  const bytes = files.reduce((sum, name) => sum + gzipSync(served(textOf(name)), { level: 9 }).length, 0);
  assert.ok(bytes <= SIZE_MAX, `${bytes} bytes`);
});

test("what is served without its comments is the same program", () => {
  for (const name of files) {
    assert.deepEqual(tokensOf(served(textOf(name))), tokensOf(textOf(name)), name);
    assert.doesNotMatch(served(textOf(name)), /^[ \t]*(\/\/|\/\*)/m, name);
  }
});

test("no file is longer than a sitting, and each says first what it is", () => {
  for (const name of files) {
    assert.ok(textOf(name).split("\n").length <= LENGTH_MAX, name);
    assert.match(textOf(name), /^\/\/ /, name);
  }
});

for (const project of ["tsconfig.json", "tsconfig.src.json"]) {
  test(`the compiler finds nothing with ${project}`, () => {
    execFileSync(process.execPath, [join(home, "node_modules/typescript/bin/tsc"), "--project", join(home, project)], {
      stdio: "pipe",
    });
  });
}

test("the types and the code name the same things", async () => {
  const sdk = await import("../tidewire.js");
  const declared = declarations();
  assert.deepEqual(Object.keys(sdk).sort(), [...declared.keys()].sort());
  for (const [name, members] of declared) {
    if (members) assert.deepEqual(membersOf(sdk[name]), members, name);
  }
});

test("the reference says what the types say", () => {
  assert.equal(readFileSync(page, "utf8"), written(), "run `npm run reference` in sdk/");
});

/** What a program is made of, and on which lines it stands. */
function tokensOf(text) {
  const source = ts.createSourceFile("file.js", text, ts.ScriptTarget.Latest);
  const lineOf = (at) => source.getLineAndCharacterOfPosition(at).line;
  const tokens = [];
  const walk = (node) => {
    const children = node.getChildren(source);
    if (children.length === 0) tokens.push(`${lineOf(node.getStart(source))}: ${node.getText(source)}`);
    children
      .filter(({ kind }) => kind < ts.SyntaxKind.FirstJSDocNode || kind > ts.SyntaxKind.LastJSDocNode)
      .forEach(walk);
  };
  walk(source);
  return tokens;
}

/** What the types export that exists at run time: functions, and classes with their members. */
function declarations() {
  const source = ts.createSourceFile("tidewire.d.ts", textOf("tidewire.d.ts"), ts.ScriptTarget.Latest);
  const found = new Map();
  for (const statement of source.statements) {
    if (ts.isFunctionDeclaration(statement)) found.set(statement.name.text, null);
    if (ts.isClassDeclaration(statement)) found.set(statement.name.text, namesOf(statement.members));
  }
  return found;
}

/** Fields of errors are the instance's own. */
function namesOf(members) {
  const named = members.filter((member) => member.name).map((member) => member.name.text);
  return named.filter((name) => !["code", "detail", "retryAfterS"].includes(name)).sort();
}

function membersOf(type) {
  const own = Object.getOwnPropertyNames(type.prototype).filter((name) => name !== "constructor");
  const general = Object.getOwnPropertyNames(type).filter((name) => !["length", "name", "prototype"].includes(name));
  return [...own, ...general].filter((name) => !name.startsWith("_")).sort();
}
