// Cuts the source maps that are published down to one place a line, which is all that a stack trace
// needs: TypeScript maps every token, and so makes the maps a fifth of the package.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { decode, encode } from '@jridgewell/sourcemap-codec';

const DIST = path.join(import.meta.dirname, '../dist');

for (const name of readdirSync(DIST, { recursive: true }).filter((each) => each.endsWith('.js.map'))) {
  const file = path.join(DIST, name);
  const map = JSON.parse(readFileSync(file, 'utf8'));
  const lines = decode(map.mappings);
  writeFileSync(file, JSON.stringify({ ...map, mappings: encode(lines.map((places) => places.slice(0, 1))) }));
}
