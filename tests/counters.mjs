// counters.mjs FILE: are all counters of gateway/metrics.h among the names in FILE, which the stories
// wrote at their ends? Names those that no story moved.
import { readFileSync } from 'node:fs';

const table = readFileSync(new URL('../gateway/metrics.h', import.meta.url), 'utf8');
const all = [...table.matchAll(/X\(\w+,\s*"(\w+)"/g)].map(([, name]) => name);
const moved = new Set(readFileSync(process.argv[2], 'utf8').split('\n'));
const still = all.filter((name) => !moved.has(name));
if (all.length === 0 || still.length > 0) {
  console.error(`counters that no test moves: ${still.join(', ') || 'there are none at all'}`);
  process.exit(1);
}
