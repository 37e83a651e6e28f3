import { show } from './figures.mjs';

function compare(figure, [direction, limit]) {
  return direction === '≤' ? figure <= limit : figure >= limit;
}

/** Whether a row meets its bar, and its aim too; empty if it has no bar. */
export function verdict({ figure, bar, aim }) {
  if (bar === undefined || Number.isNaN(figure)) return '';
  if (!compare(figure, bar)) return 'NO';
  return compare(figure, [bar[0], aim]) ? 'yes, aim' : 'yes';
}

function cellsOf(row) {
  const { work, ours, reference, figure, unit, bar, aim, note } = row;
  return [
    note === undefined ? work : `${work} (${note})`,
    ours,
    reference,
    `${show(figure)} ${unit}`.trim(),
    bar === undefined ? '' : `${bar[0]} ${show(bar[1])}`,
    aim === undefined ? '' : show(aim),
    verdict(row),
  ];
}

/** A Markdown table, aligned so that it is readable in a terminal too. */
function markdown(header, lines) {
  const all = [header, ...lines];
  const widths = header.map((_, column) => Math.max(...all.map((line) => line[column].length)));
  const format = (line) => `| ${line.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`;
  return [format(header), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...lines.map(format)].join(
    '\n',
  );
}

export const rowsTable = (rows) =>
  markdown(['work', 'ours', 'reference', 'figure', 'bar', 'aim', 'met'], rows.map(cellsOf));

export function behaviourTable(behaviour) {
  const names = Object.keys(behaviour);
  const columns = Object.keys(behaviour[names[0]]);
  return markdown(
    ['', ...columns],
    names.map((name) => [name, ...columns.map((column) => behaviour[name][column])]),
  );
}
