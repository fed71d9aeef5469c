// What is in the log, is: it is replayed to the same bytes (promise 10), and whatever is changed in it
// is found and named (promise 13).
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { story } from './lib.mjs';

const direct = (config) => delete config.environments.production.promote_from;

// A deployment from words to end; the gateway is stopped then.
async function record(w) {
  const { body: thread } = await w.call('POST', '/v1/threads', { agent: 'deploybot', message: `deploy the backend at ${w.v1}` }, w.key.bob);
  const { request } = await w.openCard('deploy_backend');
  await w.decide(request, 'approve');
  await w.ended(thread);
  await w.stop();
  return thread;
}

const verdicts = async (w, id) => JSON.parse((await w.cli(['replay', id, '--json'])).stdout).threads[0].judged;
const asText = (bytes) => `CAST(x'${bytes.toString('hex')}' AS TEXT)`;

story(test, 'A thread is replayed from its events, and what would come out otherwise is named', { configure: direct }, async (w) => {
  const thread = await record(w);
  const plain = await w.cli(['replay', thread.id.slice(0, 8)]);
  assert.equal(plain.code, 0, plain.stdout + plain.stderr);
  assert.match(plain.stdout, /all the same/);
  assert.match(plain.stdout, /model_asked: the same prompt, tools and context/);
  assert.match(plain.stdout, /model_answered: the playbook says the same/);
  assert.match(plain.stdout, /step: the answer is read as the same step/);
  assert.match(plain.stdout, /request_raised: it follows from the events before it/);
  const judged = await verdicts(w, thread.id);
  assert.ok(judged.length > 10 && judged.every((j) => j.verdict === 'same'), JSON.stringify(judged));
  for (const type of ['model_asked', 'model_answered', 'step', 'tool_started', 'request_raised', 'note', 'finished']) assert.ok(judged.some((j) => j.type === type), `${type} is judged`);

  const original = readFileSync(join(w.dir, 'signoff.db'));
  const differs = async (sql, type, pattern) => {
    await w.sql(sql);
    const { code, stdout } = await w.cli(['replay', 'all']);
    assert.equal(code, 1, `${sql}: ${stdout}`);
    assert.match(stdout, new RegExp(`seq \\d+ ${type}: .*${pattern}`), sql);
    await w.sql('PRAGMA wal_checkpoint(TRUNCATE)');
    w.file('signoff.db', original, 0o600);
  };
  await differs("UPDATE events SET data = replace(data, 'deploy the backend', 'deploy the frontend') WHERE type = 'api_message'", 'model_asked', 'context');
  await differs("UPDATE events SET data = replace(data, 'deploy_backend', 'deploy_frontend') WHERE type = 'step'", 'step', 'is read as step');
  await differs("UPDATE events SET data = replace(data, '\"intent\\\":\\\"deploy_backend', '\"intent\\\":\\\"deploy_frontend') WHERE type = 'model_answered'", 'model_answered', 'does not say the same');
  await differs("UPDATE events SET data = replace(data, 'approved', 'rejected') WHERE type = 'request_decided'", 'tool_started', 'does not follow');
  await differs("UPDATE events SET data = replace(data, 'backend', 'frontend') WHERE type = 'request_raised'", 'request_raised', 'does not follow');
  await differs("UPDATE events SET data = replace(data, '\"done\"', '\"failed\"') WHERE type = 'finished'", 'finished', 'does not follow');

  // Another prompt is another question: that is what a prompt's author looks for.
  w.config.agents.deploybot.limits = { steps: 19 };
  w.config.people[0].name = 'Alice Nguyen';
  w.writeConfig();
  const other = await w.cli(['replay', thread.id]);
  assert.equal(other.code, 1);
  assert.match(other.stdout, /model_asked: not the same/);
  w.config.people[0].name = 'Alice Ng';
  delete w.config.agents.deploybot.limits;
  w.writeConfig();
  assert.equal((await w.cli(['replay', thread.id])).code, 0);
  const nothing = await w.cli(['replay', 't_000000']);
  assert.equal(nothing.code, 1);
  assert.match(nothing.stderr, /I know no thread/);
});

story(test, 'Each byte of an event that is changed is found and named, and so is each column', { configure: direct, timeout: 240000 }, async (w) => {
  const thread = await record(w);
  await w.auditIsWhole();
  const [{ seq, hex }] = await w.rows(`SELECT seq, hex(data) hex FROM events WHERE thread = '${thread.id}' AND type = 'vote'`);
  const data = Buffer.from(hex, 'hex');
  const original = readFileSync(join(w.dir, 'signoff.db'));
  const isNamed = async (what, sql) => {
    await w.sql(sql);
    const { code, stdout } = await w.cli(['audit', 'verify']);
    assert.equal(code, 1, `${what}: ${stdout}`);
    assert.match(stdout, new RegExp(`${thread.id} seq ${seq}: `), what);
    await w.sql('PRAGMA wal_checkpoint(TRUNCATE)');
    writeFileSync(join(w.dir, 'signoff.db'), original);
  };
  const where = `WHERE thread = '${thread.id}' AND seq = ${seq}`;
  for (let i = 0; i < data.length; i++) {
    const flipped = Buffer.from(data);
    flipped[i] ^= 1 << i % 8;
    await isNamed(`byte ${i} of the data`, `UPDATE events SET data = ${asText(flipped)} ${where}`);
  }
  for (const [column, value] of Object.entries({ at_ms: 'at_ms + 1', type: "'note'", actor: "'person:eve'", hash: "CASE substr(hash, 1, 1) WHEN '0' THEN '1' ELSE '0' END || substr(hash, 2)", data: "data || char(0) || ' '" })) {
    await isNamed(column, `UPDATE events SET ${column} = ${value} ${where}`);
  }
  await isNamed('removed', `DELETE FROM events ${where}`);
  await isNamed('a cut tail', `DELETE FROM events WHERE thread = '${thread.id}' AND seq >= ${seq}`);
  await isNamed('two swapped', `UPDATE events SET seq = -seq WHERE thread = '${thread.id}' AND seq IN (${seq}, ${seq + 1}); UPDATE events SET seq = ${2 * seq + 1} + seq WHERE thread = '${thread.id}' AND seq < 0`);
  await w.auditIsWhole();
});
