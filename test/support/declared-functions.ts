/**
 * The functions that a C++ header declares and does not define, by their qualified names. Knows namespaces, classes and
 * functions as clang-format writes them, and no templates.
 */
export function declaredFunctions(header: string): string[] {
  const text = header.replaceAll(/\/\/.*|^\s*#.*$/gm, '');
  const scopes: string[] = [];
  const names: string[] = [];
  let statement = '';
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? '';
    if (character === '{') {
      const scope = /^\s*(?:namespace|class|struct) (\w+)[^()=]*$/.exec(withoutLabels(statement))?.[1];
      if (scope === undefined) at = endOfBlock(text, at);
      else scopes.push(scope);
      // A function's body ends its declaration; a variable's initial value and an enumeration are followed by `;`.
      statement = '';
    } else if (character === '}') {
      scopes.pop();
      statement = '';
    } else if (character === ';') {
      const name = nameOfFunction(withoutLabels(statement));
      if (name !== undefined) names.push([...scopes, name].join('::'));
      statement = '';
    } else {
      statement += character;
    }
  }
  return names;
}

const withoutLabels = (statement: string) => statement.replaceAll(/\b(?:public|private|protected):/g, '');

function nameOfFunction(statement: string): string | undefined {
  if (/= (?:default|delete)\s*$/.test(statement)) return undefined;
  return /(operator\W+?|~?\w+)\(/.exec(statement)?.[1];
}

function endOfBlock(text: string, start: number): number {
  let depth = 0;
  for (let at = start; ; at++) {
    if (text[at] === '{') depth++;
    if (text[at] === '}' && --depth === 0) return at;
    if (at === text.length) throw new Error('a block has no end');
  }
}
