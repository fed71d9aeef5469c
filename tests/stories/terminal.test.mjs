// The command line where its server is not at a plain address, and what it says of questions.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { signoff, story, until } from './lib.mjs';

const direct = (config) => delete config.environments.production.promote_from;
const ask = (question, options) => () => ({ intent: 'request_human_input', question, options });

story(test, 'Who answers in a terminal sees the choices, and hears them again after a wrong one', { configure: direct, model: ask('Which first?', { urgency: 'low', format: 'multiple_choice', choices: ['backend', 'frontend'] }) }, async (w) => {
  const alice = w.remote(w.key.alice), admin = w.remote(w.key.admin);
  const { body: thread } = await w.call('POST', '/v1/threads', { agent: 'deploybot', message: 'deploy' }, w.key.bob);
  const request = await w.open('question');
  const shown = (await w.cli(['show', thread.id], admin)).stdout;
  assert.match(shown, /Which first\?[^]*- backend[^]*- frontend/);
  assert.match(shown, /1 step, /);
  const wrong = await w.cli(['answer', request.code, 'both'], alice);
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /none of the choices: backend, frontend\./);
  assert.equal((await w.cli(['answer', request.code, 'backend'], alice)).code, 0);
});

story(test, 'A reload says which changed keys wait for a restart', { configure: direct }, async (w) => {
  w.config.log = { level: 'info' };
  w.writeConfig();
  w.process.kill('SIGHUP');
  await until(() => /config\.needs_restart.*key=log/.test(w.log()), 'the warning');
  w.process.kill('SIGHUP');
  await until(() => w.log().match(/config\.needs_restart.*key=log/g).length === 2, 'the warning again: it still waits');
  assert.ok(!/needs_restart.*key=(server|store)/.test(w.log()));
});

story(test, 'A server on a unix socket is reached by its path', { start: false, configure: (c) => { direct(c); c.server.listen = 'unix:/tmp/signoff-story-' + process.pid + '.sock'; } }, async (w) => {
  const server = spawn(signoff, ['serve', '--config', join(w.dir, 'signoff.yaml')], { cwd: w.dir, env: w.env, stdio: 'ignore' });
  const at = { SIGNOFF_URL: w.config.server.listen, SIGNOFF_API_KEY: w.key.admin };
  try {
    await until(async () => (await w.cli(['threads'], at)).code === 0, 'the server to answer');
    assert.match((await w.cli(['pause', 'all'], at)).stdout, /paused/);
    assert.equal((await w.cli(['threads'], { ...at, SIGNOFF_API_KEY: 'wrong' })).code, 1);
  } finally {
    server.kill('SIGTERM');
    await new Promise((done) => server.once('exit', done));
  }
});

story(test, "An outside agent's thread waits while its request is open, ends with the decision, and goes on with the next", {}, async (w) => {
  const ask = async (body) => (await w.call('POST', '/v1/requests', { kind: 'question', contact: { channel: 'ops-slack', to: 'C0DEPLOYS' }, ...body })).body;
  const becomes = (id, status) => until(async () => {
    const t = await w.thread(id);
    return t.status === status && t;
  }, `${id} to be ${status}`);
  const first = await ask({ question: 'Red or blue?' });
  assert.deepEqual((await becomes(first.thread, 'waiting')).waiting_for, { kind: 'person', request: first.id });
  await w.decide(first, 'answer', { answer: 'red' });
  const done = await becomes(first.thread, 'done');
  assert.deepEqual([done.outcome, done.waiting_for], ['answered', null]);
  const second = await ask({ question: 'Are you sure?', thread: first.thread });
  assert.deepEqual((await becomes(first.thread, 'waiting')).waiting_for, { kind: 'person', request: second.id });
  await w.decide(second, 'answer', { answer: 'yes' });
  await becomes(first.thread, 'done');
  await w.call('POST', `/v1/threads/${first.thread}/events`, { type: 'api_message', data: { text: 'I paint it red.' } });
  await becomes(first.thread, 'running');
  await w.auditIsWhole();
});
