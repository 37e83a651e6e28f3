import path from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';

const ENTRY = path.join(__dirname, '../../dist/index.d.ts');
const program = ts.createProgram([ENTRY], { module: ts.ModuleKind.Node16, target: ts.ScriptTarget.ES2022 });
const checker = program.getTypeChecker();

const resolved = (symbol: ts.Symbol) =>
  symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;

function exported(): ts.Symbol[] {
  const file = program.getSourceFile(ENTRY);
  const entry = file && checker.getSymbolAtLocation(file);
  return entry === undefined ? [] : checker.getExportsOfModule(entry).map(resolved);
}

/** The members of a class or an interface that are declared with it and that users can reach. */
function membersOf(symbol: ts.Symbol): ts.Symbol[] {
  return [...(symbol.members?.values() ?? [])].filter(
    ({ name, flags }) => !name.startsWith('__#') && name !== '#private' && !(flags & ts.SymbolFlags.TypeParameter),
  );
}

const isDocumented = (symbol: ts.Symbol) => symbol.getDocumentationComment(checker).length > 0;
test('everything that is exported has a doc comment', () => {
  expect(exported().length).toBeGreaterThan(10);
  expect(
    exported()
      .filter((symbol) => !isDocumented(symbol))
      .map(({ name }) => name),
  ).toEqual([]);
});

test('every member of what is exported has a doc comment', () => {
  const members = exported().flatMap((symbol) => membersOf(symbol).map((member) => ({ symbol, member })));
  expect(members.length).toBeGreaterThan(50);
  const undocumented = members.filter(({ member }) => !isDocumented(member));
  expect(undocumented.map(({ symbol, member }) => `${symbol.name}.${member.name}`)).toEqual([]);
});
