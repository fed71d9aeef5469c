// The full form: every n of every line of the plan, until the story completes without reaching n.
// usage: node torture.mjs [PART-OF-A-LINE'S-NAME …]; JOBS=n rounds at a time (default 2).
import { FAILURES, KILLS } from './plan.mjs';
import { yesterday } from './world.mjs';

const jobs = Number(process.env.JOBS ?? 2);
const wanted = process.argv.slice(2);
const lines = [...KILLS, ...FAILURES].filter((line) => wanted.length === 0 || wanted.some((part) => line.name.includes(part)));
const templates = { standins: await yesterday('standins'), demo: await yesterday('demo') };
const failures = [];
const total = { rounds: 0, kills: 0, seconds: 0 };
const column = (text, width) => String(text).padStart(width);

async function torture(line) {
  const begin = Date.now();
  const row = { rounds: 0, kills: 0, bad: 0 };
  let n = 0;
  let end = line.most ?? Infinity;
  await Promise.all(Array.from({ length: jobs }, async () => {
    while (n < end) {
      const mine = ++n;
      try {
        const result = await line.run(templates[line.kind], [mine]);
        row.kills += result.kills;
        if (!line.reached(result)) end = Math.min(end, mine - 1);
      } catch (error) {
        row.bad += 1;
        failures.push(`${line.name}, n = ${mine}: ${error.message}`);
        console.error(failures.at(-1));
        if (row.bad >= 20) end = 0;
      }
      row.rounds += 1;
    }
  }));
  const seconds = (Date.now() - begin) / 1000;
  console.log(`${line.name.padEnd(52)}${column(Number.isFinite(end) ? end : n, 7)}${column(row.rounds, 8)}${column(row.kills, 8)}${column(row.bad, 6)}${column(seconds.toFixed(0), 9)}`);
  total.rounds += row.rounds;
  total.kills += row.kills;
  total.seconds += seconds;
}

try {
  console.log(`${'moment of the story'.padEnd(52)}${column('points', 7)}${column('rounds', 8)}${column('kills', 8)}${column('bad', 6)}${column('seconds', 9)}`);
  for (const line of lines) await torture(line);
  console.log(`${'in all'.padEnd(59)}${column(total.rounds, 8)}${column(total.kills, 8)}${column(failures.length, 6)}${column(total.seconds.toFixed(0), 9)}`);
} finally {
  for (const template of Object.values(templates)) template.remove();
}
process.exitCode = failures.length === 0 ? 0 : 1;
