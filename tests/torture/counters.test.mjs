// The counters that no story moves on a machine that is well. That each is moved by some test is
// checked over all of them: see tests/counters.mjs.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { story, until } from '../stories/lib.mjs';
import { direct, metrics } from './lib.mjs';

story(test, 'A store that somebody else holds: commits fail and are counted, senders hear 503, and it passes', { configure: direct, timeout: 120000 }, async (w) => {
  const before = (await metrics(w)).commits_failed_total;
  const holder = spawn('sqlite3', [join(w.dir, 'signoff.db')], { stdio: ['pipe', 'pipe', 'inherit'] });
  holder.stdin.write('BEGIN IMMEDIATE;\nSELECT 1;\n');
  await new Promise((held) => holder.stdout.once('data', held));
  const launch = () => w.call('POST', '/v1/threads', { agent: 'deploybot', message: `deploy the backend at ${w.v1}` }, w.key.bob);
  const refused = await launch();
  assert.equal(refused.status, 503, refused.text);
  assert.ok(Number(refused.headers.get('retry-after')) > 0);
  assert.ok((await metrics(w)).commits_failed_total > before);
  holder.stdin.end('ROLLBACK;\n');
  await new Promise((gone) => holder.once('exit', gone));
  await until(async () => (await launch()).status === 201, 'the store to be back', 30000);
  assert.equal((await w.threads()).length, 1, 'what was refused is not there');
});

story(test, 'A letter that takes long is counted, and the log names it', { configure: direct }, async (w) => {
  const { body: thread } = await w.call('POST', '/v1/threads', { agent: 'deploybot', message: `deploy the backend at ${w.v1}` }, w.key.bob);
  const many = Object.fromEntries(Array.from({ length: 120000 }, (_, i) => [`member ${i}`, i]));
  const answer = await w.call('POST', `/v1/threads/${thread.id}/events`, { type: 'webhook_received', data: many });
  assert.equal(answer.status, 200, answer.text.slice(0, 200));
  assert.ok((await metrics(w)).letters_slow_total >= 1);
  assert.match(w.log(), /letter\.was_slow/);
});
