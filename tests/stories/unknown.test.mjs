// What nobody can know is never guessed (promise 5): it is looked up, or put to a person; and what
// was approved is checked once more at the moment it would run.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DEPLOYS, sleep, story, until } from './lib.mjs';

const direct = (config) => delete config.environments.production.promote_from;

async function propose(w, component = 'backend', sha = w.v1) {
  const { body } = await w.call('POST', '/v1/threads', { agent: 'deploybot', message: `deploy the ${component} at ${sha}` }, w.key.bob);
  return { thread: body, ...(await w.openCard(`deploy_${component}`)) };
}

const backend = async (w) => (await w.get('/v1/environments')).environments.find((e) => e.name === 'production').components.find((c) => c.component === 'backend');

story(test, 'A deployment whose runner died with the gateway: nobody knows, so a person is asked, and it is not repeated', { configure: direct }, async (w) => {
  w.file('deploy.sh', `#!/bin/sh\necho run >>${w.dir}/runs\necho $$ >${w.dir}/pid\nexec sleep 300\n`, 0o755);
  const { thread } = await propose(w);
  await w.approve('deploy_backend');
  const pid = await until(() => existsSync(join(w.dir, 'pid')) && Number(readFileSync(join(w.dir, 'pid'), 'utf8')), 'the command to begin');
  const runner = Number(execFileSync('ps', ['-o', 'ppid=', '-p', String(pid)], { encoding: 'utf8' }));
  await w.kill();
  process.kill(runner, 'SIGKILL'); // as if the machine went down
  process.kill(pid, 'SIGKILL');
  await w.start();
  const question = await w.open('question');
  assert.equal(question.thread, thread.id);
  const finished = (await w.eventsOf(thread.id, 'tool_finished')).filter((e) => e.data.tool === 'deploy_backend');
  assert.deepEqual(finished.map((e) => e.data.outcome), ['unknown']);
  assert.equal((await backend(w)).state, 'unknown');
  await sleep(500);
  assert.equal(readFileSync(join(w.dir, 'runs'), 'utf8'), 'run\n', 'it did not run again');
  await w.decide(question, 'answer', { answer: 'stop' });
  assert.equal((await w.ended(thread)).status, 'done');
});

story(test, 'Killed while a card is on its way to Slack: it is looked up and found, not posted again', { configure: direct }, async (w) => {
  w.slack.fail('chat.postMessage', { late: 3000 });
  await w.call('POST', '/v1/threads', { agent: 'deploybot', message: `deploy the backend at ${w.v1}` }, w.key.bob);
  await until(() => w.slack.ours(DEPLOYS).length === 1, 'Slack to act');
  await w.kill();
  await w.start();
  const request = await w.open('deploy_backend');
  await until(async () => (await w.eventsOf(request.thread, 'delivery_sent')).length === 1, 'the delivery to be settled');
  assert.equal(w.slack.ours(DEPLOYS).length, 1);
  await w.approve('deploy_backend');
  await until(() => w.holds('production', 'backend') === w.v1, 'the deployment');
});

story(test, 'Killed while the model thinks: it is asked again, which counts as one step', { configure: direct, model: () => ({ intent: 'request_human_input', question: 'What now?', context: null, options: { urgency: 'low', format: 'free_text', choices: [] } }) }, async (w) => {
  w.model.fail(/completions/, { hang: true });
  const { body } = await w.call('POST', '/v1/threads', { agent: 'deploybot', message: 'think' }, w.key.bob);
  await until(() => w.model.calls.length === 1, 'the question');
  await w.kill();
  await w.start();
  await w.open('question');
  assert.equal(w.model.calls.length, 2);
  assert.equal((await w.thread(body.id)).steps, 1);
  assert.equal(w.model.calls[0].body.toString(), w.model.calls[1].body.toString(), 'the same events, the same bytes');
});

story(test, 'An approval that expired before it could run is not used', { configure: (c) => { direct(c); c.policies['prod-signoff'].expire = '2s'; } }, async (w) => {
  const { thread, request } = await propose(w);
  await w.call('POST', '/v1/threads/all/pause', {});
  assert.equal((await w.decide(request, 'approve')).body.status, 'approved');
  await sleep(2200);
  await w.call('POST', '/v1/threads/all/resume', {});
  const finished = await until(async () => (await w.eventsOf(thread.id, 'tool_finished')).find((e) => e.data.tool === 'deploy_backend'), 'the call to be judged');
  assert.equal(finished.data.outcome, 'refused');
  assert.match(finished.data.result.error, /approval has expired/);
  assert.equal(w.holds('production', 'backend'), null);
});

const day = (ms) => new Date(ms).toISOString().slice(0, 10);

story(test, 'A freeze refuses a deployment and lets a roll-back through; a lock of somebody else stops that too', { configure: direct }, async (w) => {
  for (const sha of [w.v1, w.v2]) {
    const { thread } = await propose(w, 'backend', sha);
    await w.approve('deploy_backend');
    await w.ended(thread);
  }
  assert.equal(w.holds('production', 'backend'), w.v2);
  w.config.environments.production.freeze = [{ name: 'year-end', from: day(Date.now() - 864e5), to: day(Date.now() + 864e5) }];
  w.writeConfig();
  w.process.kill('SIGHUP');
  await sleep(300);
  const { thread } = await propose(w, 'frontend');
  await w.approve('deploy_frontend');
  const refused = await until(async () => (await w.eventsOf(thread.id, 'tool_finished')).find((e) => e.data.tool === 'deploy_frontend'), 'the refusal');
  assert.deepEqual([refused.data.outcome, refused.data.result.error], ['refused', 'production is frozen (year-end)']);
  assert.equal(w.holds('production', 'frontend'), null);
  await w.call('POST', `/v1/threads/${thread.id}/cancel`, {});
  const rollBack = () => w.call('POST', '/v1/threads', { agent: 'rollback', message: 'roll back the backend' }, w.key.bob);
  await w.call('POST', '/v1/environments/production/lock', { reason: 'hands off' }, w.key.desk);
  const locked = (await rollBack()).body;
  await w.approve('roll_back_backend');
  const stopped = await until(async () => (await w.eventsOf(locked.id, 'tool_finished')).find((e) => e.data.tool === 'roll_back_backend'), 'the refusal of the roll-back');
  assert.match(stopped.data.result.error, /locked by .*: hands off/);
  assert.equal(w.holds('production', 'backend'), w.v2);
  await w.call('POST', `/v1/threads/${locked.id}/cancel`, {});
  await w.call('POST', '/v1/environments/production/unlock', {}, w.key.desk);
  await rollBack();
  await w.approve('roll_back_backend');
  await until(() => w.holds('production', 'backend') === w.v1, 'the roll-back, freeze or not');
});

story(test, 'A command that takes too long is ended, one that talks too much is cut, and both are told', { configure: (c) => { direct(c); c.tools.deploy_backend.run.timeout = '1s'; c.tools.deploy_frontend.run.output = '4KiB'; } }, async (w) => {
  w.file('deploy.sh', '#!/bin/sh\n[ "$1" = backend ] && exec sleep 60\nyes talk | head -c 200000\necho the end\nexit 4\n', 0o755);
  const slow = await propose(w);
  await w.approve('deploy_backend');
  const timedOut = await until(async () => (await w.eventsOf(slow.thread.id, 'tool_finished')).find((e) => e.data.tool === 'deploy_backend'), 'the time-out', 10000);
  assert.deepEqual([timedOut.data.outcome, timedOut.data.result.error], ['failed', 'timed out after 1s']);
  await w.call('POST', `/v1/threads/${slow.thread.id}/cancel`, {});
  const loud = await propose(w, 'frontend');
  await w.approve('deploy_frontend');
  const cut = await until(async () => (await w.eventsOf(loud.thread.id, 'tool_finished')).find((e) => e.data.tool === 'deploy_frontend'), 'the end');
  assert.deepEqual([cut.data.outcome, cut.data.result.exit], ['failed', 4]);
  assert.ok(JSON.stringify(cut.data).length < 16000);
  assert.match(cut.data.result.output, /the end/, 'its end is kept');
});

story(test, 'A command sees nothing of our environment but what is named', { configure: (c) => { direct(c); c.tools.deploy_backend.run.env = ['DEPLOY_TOKEN']; }, env: { DEPLOY_TOKEN: 'token-for-deploys', OTHER_SECRET: 'not-yours' } }, async (w) => {
  w.file('deploy.sh', `#!/bin/sh\nenv | sed 's/=.*//' | sort >${w.dir}/names\ntest "$DEPLOY_TOKEN" = token-for-deploys\n`, 0o755);
  const { thread } = await propose(w);
  await w.approve('deploy_backend');
  const end = await until(async () => (await w.eventsOf(thread.id, 'tool_finished')).find((e) => e.data.tool === 'deploy_backend'), 'the end');
  assert.equal(end.data.outcome, 'ok');
  const names = readFileSync(join(w.dir, 'names'), 'utf8').trim().split('\n').filter((n) => !['PWD', 'SHLVL', '_', 'OLDPWD'].includes(n));
  assert.deepEqual(names, ['DEPLOY_TOKEN', 'HOME', 'LANG', 'PATH', 'SIGNOFF_RUN', 'SIGNOFF_THREAD']);
  for (const secret of ['token-for-deploys', 'not-yours', w.key.admin, w.slack.token]) assert.ok(!JSON.stringify(await w.events(thread.id)).includes(secret));
  assert.equal((await w.rows("SELECT COUNT(*) AS n FROM tool_runs WHERE spec LIKE '%token-for-deploys%'"))[0].n, 0);
});
