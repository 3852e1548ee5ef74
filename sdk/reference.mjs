// Writes docs/reference/sdk.md from the types and what is said in them: `npm run reference`. A test compares the two.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import ts from "typescript";

const types = join(import.meta.dirname, "tidewire.d.ts");
export const page = join(import.meta.dirname, "../docs/reference/sdk.md");

const HEAD = `# JavaScript SDK

Written by \`npm run reference\` in \`sdk/\` from \`sdk/tidewire.d.ts\`; do not edit. [sdk/README.md](../../sdk/README.md) is the place to begin.
`;

/** The page as it should be. */
export function written() {
  const source = ts.createSourceFile(types, readFileSync(types, "utf8"), ts.ScriptTarget.Latest, true);
  return `${[HEAD, rules(source), ...source.statements.flatMap((statement) => section(statement, source))].join("\n")}\n`;
}

/** The comment at the head of the file is the page's introduction; what is indented in it is code. */
function rules(source) {
  const [head] = source.text.split("// ---");
  const text = head.replace(/^\/\/ ?/gm, "").trim();
  return `${text.replace(/(^ {4}.*\n\n?)+/gm, (lines) => `\`\`\`js\n${lines.trimEnd().replace(/^ {4}/gm, "")}\n\`\`\`\n\n`)}\n`;
}

function section(statement, source) {
  const title = /\/\/ -+\n\/\/ (.*)\n\/\/ -+/.exec(source.text.slice(statement.getFullStart(), statement.getStart()));
  return [...(title ? [`## ${title[1]}\n`] : []), ...entry(statement, source)];
}

function entry(statement, source) {
  if (ts.isFunctionDeclaration(statement)) {
    return [`### \`${signature(statement, source)}\`\n`, `${said(statement)}\n`];
  }
  const heading = `### ${statement.name.text}\n`;
  const intro = said(statement);
  const body = ts.isTypeAliasDeclaration(statement) ? alias(statement, source) : table(statement, source);
  return [heading, ...(intro ? [`${intro}\n`] : []), ...body];
}

function alias(statement, source) {
  const { type } = statement;
  if (!ts.isUnionTypeNode(type) || type.types.length < 6) return [`\`${oneLine(type.getText(source))}\`\n`];
  return [
    table2(
      ["value", "meaning"],
      type.types.filter(ts.isLiteralTypeNode).map((each) => [code(each.getText(source)), before(each, source)]),
    ),
  ];
}

function table(statement, source) {
  const isEvents = statement.name.text.endsWith("Events");
  const bases = (statement.heritageClauses ?? []).map((clause) => clause.getText(source)).join(" ");
  const members = statement.members.filter((member) => !isPrivate(member));
  const rows = isEvents
    ? members.map((member) => [code(member.name.text), code(member.type.getText(source)), said(member)])
    : members.map((member) => [code(signature(member, source)), said(member)]);
  const extending = bases ? [`\`${bases}\`\n`] : [];
  return [
    ...extending,
    ...(rows.length ? [table2(isEvents ? ["event", "carries", "when"] : ["member", "meaning"], rows)] : []),
  ];
}

function isPrivate(member) {
  return member.modifiers?.some(
    ({ kind }) => kind === ts.SyntaxKind.PrivateKeyword || kind === ts.SyntaxKind.ProtectedKeyword,
  );
}

function table2(head, rows) {
  const line = (cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return `${[line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n")}\n`;
}

function signature(node, source) {
  return oneLine(
    node
      .getText(source)
      .replace(/^export |;$/g, "")
      .replace(/^function /, ""),
  );
}

/** What stands in the `/** ... *\/` before a declaration. */
function said(node) {
  const comment = node.jsDoc?.at(-1)?.comment;
  if (!comment) return "";
  const text = typeof comment === "string" ? comment : comment.map((part) => part.text).join("");
  return ts.isClassDeclaration(node) || ts.isTypeAliasDeclaration(node) ? text : oneLine(text);
}

/** The same for the parts of a union: the comment stands before the bar. */
function before(node, source) {
  const [, comment] = /\/\*\* ((?:(?!\*\/)[^])*) \*\/[\s|]*$/.exec(source.text.slice(0, node.getStart())) ?? [];
  return comment ? oneLine(comment) : "";
}

function code(text) {
  return `\`${oneLine(text)}\``;
}

function oneLine(text) {
  return text.replace(/\s*\n\s*/g, " ").trim();
}

if (process.argv[1] === import.meta.filename) writeFileSync(page, written());
