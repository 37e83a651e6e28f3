const WIDTH = 760;
const NAMES = 220;
const VALUES = 90;
const LINE = 22;
const COLOURS = { ours: '#2563eb', floor: '#475569', peer: '#cbd5e1' };

const escapeText = (text) => text.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`);

/** Renders the charts as one SVG: horizontal bars on a logarithmic scale. */
export function chartSvg(charts) {
  const parts = [];
  let y = 0;
  for (const { title, unit, bars, format } of charts) {
    const shown = bars.filter(({ value }) => value > 0);
    if (shown.length === 0) continue;
    const low = Math.floor(Math.log10(Math.min(...shown.map(({ value }) => value)) * 0.9));
    const high = Math.ceil(Math.log10(Math.max(...shown.map(({ value }) => value))));
    const x = (value) => NAMES + ((Math.log10(value) - low) / (high - low)) * (WIDTH - NAMES - VALUES);
    const bottom = y + 36 + bars.length * LINE;
    parts.push(`<text x="8" y="${y + 22}" font-weight="bold">${escapeText(title)}</text>`);
    for (let power = low; power <= high; power++) {
      const at = x(10 ** power).toFixed(1);
      parts.push(`<path d="M${at} ${y + 32}V${bottom}" stroke="#e2e8f0"/>`);
      parts.push(
        `<text x="${at}" y="${bottom + 14}" text-anchor="middle" font-size="11" fill="#64748b">${format(10 ** power)} ${unit}</text>`,
      );
    }
    bars.forEach(({ name, value, kind }, index) => {
      const top = y + 36 + index * LINE;
      parts.push(`<text x="${NAMES - 8}" y="${top + 14}" text-anchor="end">${escapeText(name)}</text>`);
      const end = value > 0 ? x(value) : NAMES;
      if (value > 0) {
        parts.push(
          `<rect x="${NAMES}" y="${top + 2}" width="${(end - NAMES).toFixed(1)}" height="${LINE - 6}" fill="${COLOURS[kind]}"/>`,
        );
      }
      const label = value > 0 ? `${format(value)} ${unit}` : 'fails';
      parts.push(`<text x="${(end + 6).toFixed(1)}" y="${top + 14}">${label}</text>`);
    });
    y = bottom + 30;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" font-family="system-ui, sans-serif" font-size="13" fill="#0f172a">
<title>${escapeText(charts.map(({ title }) => title).join('; '))}</title>
<rect width="${WIDTH}" height="${y}" fill="#fff"/>
${parts.join('\n')}
</svg>
`;
}
