/** The value below which the given share of the values lies. */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Jain's fairness index: 1 if all values are equal, 1/n if one has everything. */
export function jainIndex(values) {
  const sum = values.reduce((a, b) => a + b, 0);
  return sum ** 2 / (values.length * values.reduce((a, b) => a + b * b, 0));
}

/** Three significant digits, with thousands separators. */
export function show(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  if (value >= 1000) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}

export function showTime(nanoseconds) {
  if (nanoseconds < 1e3) return `${show(nanoseconds)} ns`;
  if (nanoseconds < 1e6) return `${show(nanoseconds / 1e3)} µs`;
  if (nanoseconds < 1e9) return `${show(nanoseconds / 1e6)} ms`;
  return `${show(nanoseconds / 1e9)} s`;
}
