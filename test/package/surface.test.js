'use strict';

/**
 * Compares the names in the addon's tables, lib/, index.d.ts and docs/: an option,
 * a field or a method that is missing in one of them fails here.
 */

const assert = require('node:assert/strict');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const ts = require('typescript');
const { constants, createServer } = require('../..');
const binding = require('../../lib/binding');
const { read } = require('../../lib/options');
const { Socket } = require('../../lib/socket');
const { test } = require('../helpers');

const root = path.join(__dirname, '../..');
const text = (file) => fs.readFileSync(path.join(root, file), 'utf8');
const typings = ts.createSourceFile(
  'index.d.ts',
  text('index.d.ts'),
  ts.ScriptTarget.Latest,
  true,
);
const tables = binding.tables();

/** The statement that declares this name. */
function declaration(name) {
  const found = typings.statements.find(
    (statement) =>
      statement.name?.text === name ||
      statement.declarationList?.declarations[0].name.text === name,
  );
  assert.ok(found, `index.d.ts declares no ${name}`);
  return found;
}

/** Names of members of a type, sorted. */
const memberNames = (node) =>
  [...new Set(node.members.map((member) => member.name.getText()))].sort();

/** All string literals in a part of the typings. */
function literals(node) {
  const found = [];
  (function visit(child) {
    if (ts.isStringLiteral(child)) found.push(child.text);
    ts.forEachChild(child, visit);
  })(node);
  return found;
}

/** Types of notifications in index.d.ts: the literal of their fields, by name. */
const typed = new Map(
  declaration('Notification').type.types.map(({ typeArguments }) => [
    typeArguments[0].literal.text,
    typeArguments[1],
  ]),
);

/** Fields of a struct by name, of a struct inside as a list of their own. */
function tableFields(of) {
  return tables.fields
    .filter((field) => field.of === of)
    .map(({ name, type }) =>
      tables.fields.some((field) => field.of === type)
        ? [name, tableFields(type)]
        : [name],
    )
    .sort();
}

const typedFields = (literal) =>
  literal.members
    .map(({ name, type }) =>
      ts.isTypeLiteralNode(type) ? [name.text, typedFields(type)] : [name.text],
    )
    .sort();

test('the notifications of the addon are those of index.d.ts and constants', () => {
  assert.deepEqual(
    tables.notifications.map(({ name }) => name).sort(),
    [...typed.keys()].sort(),
  );
  for (const { name, number } of tables.notifications) {
    assert.equal(constants[name], number, name);
  }
});

for (const { name, of } of tables.notifications) {
  test(`${name} has the fields of index.d.ts`, () => {
    assert.deepEqual(tableFields(of), typedFields(typed.get(name)));
  });
}

test('the options of the kernel are those of index.d.ts, field by field', () => {
  const { members } = declaration('KernelOptions');
  assert.deepEqual(
    tables.options.map(({ name, of }) => [name, tableFields(of)]).sort(),
    members.map(({ name, type }) => [name.text, typedFields(type)]).sort(),
  );
});

test('the constants are those of index.d.ts', () => {
  assert.deepEqual(
    Object.keys(constants).sort(),
    [...typed.keys(), ...literals(declaration('constants').declarationList)]
      .filter((name) => name !== 'type')
      .sort(),
  );
});

/** Returns what a page has between backquotes, outside of its programs. */
const codeSpans = (page) =>
  text(page)
    .replace(/^```.*?^```/gms, '')
    .match(/`[^`]+`/g);

/** Returns whether a page names an option or a member. */
const isNamed = (name, spans) =>
  spans.some((span) => new RegExp(`\\b${name}\\b`).test(span));

/** Returns what all pages have between backquotes. */
const allSpans = () =>
  fs
    .readdirSync(path.join(root, 'docs'))
    .flatMap((name) => codeSpans(`docs/${name}`) ?? []);

test('the options of connect() and listen() are in index.d.ts and in docs', () => {
  const known = read(new Proxy({}, { get: (_, name) => name }));
  const declared = [
    ...['AssociationOptions', 'ServerOptions'],
    ...['ListenOptions', 'ConnectOptions'],
  ].flatMap((name) => memberNames(declaration(name)));
  assert.deepEqual(Object.keys(known).sort(), [...new Set(declared)].sort());
  const named = codeSpans('docs/sockets.md');
  for (const name of Object.keys(known)) {
    assert.ok(isNamed(name, named), `docs/sockets.md does not name ${name}`);
  }
});

/** Members that ours only does in another way than the class above it. */
const INHERITED =
  /^(constructor|_.*|\[.*|addListener|prependListener|readableEncoding|setDefaultEncoding)$/;

for (const [name, prototype] of [
  ['Socket', () => Socket.prototype],
  ['Server', () => Object.getPrototypeOf(createServer())],
  ['Endpoint', (t) => Object.getPrototypeOf(t.open())],
]) {
  const known = name in net ? new net[name]() : {}; // the docs need not say it again
  test(`the members of ${name} are in index.d.ts and in docs`, (t) => {
    const declared = memberNames(declaration(name));
    const named = allSpans();
    for (const member of Object.getOwnPropertyNames(prototype(t))) {
      if (INHERITED.test(member)) continue;
      assert.ok(declared.includes(member), `${member} is not declared`);
      if (member in known) continue;
      assert.ok(isNamed(member, named), `docs do not name ${member}`);
    }
  });
}
