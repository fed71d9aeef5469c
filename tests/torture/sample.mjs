// A spread sample of the plan as tests, always the same one: each line is told once, with several of
// its moments in one story. How many there are is counted by a story that nothing disturbs.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { round, yesterday } from './world.mjs';

export function sample(name, lines, moments) {
  const templates = {};
  const undisturbed = {};
  describe(name, { concurrency: 3 }, () => {
    before(async () => {
      await Promise.all([...new Set(lines.map((line) => line.kind))].map(async (kind) => {
        templates[kind] = await yesterday(kind);
        undisturbed[kind] = await round(kind, templates[kind]);
      }));
    }, { timeout: 120000 });
    after(() => {
      for (const template of Object.values(templates)) template.remove();
    });
    lines.forEach((line, i) => test(`the story ends right: ${line.name}`, { timeout: 180000 }, async () => {
      const points = line.count(undisturbed[line.kind]);
      assert.ok(points > 0, 'there is such a moment');
      const spread = (k) => 1 + Math.floor(((points - 1) * (k + ((i * 7) % 10) / 10)) / moments);
      const result = await line.run(templates[line.kind], [...new Set(Array.from({ length: moments }, (_, k) => spread(k)))]);
      assert.ok(line.reached(result), 'it was reached');
    }));
  });
}
