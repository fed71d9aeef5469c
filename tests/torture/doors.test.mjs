// While the disk is full or broken every door says so: nothing is acknowledged that is not stored,
// nothing is half-stored, and all goes on when it is over, also what its sender does not send again.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BOB, DEPLOYS, Torture, sleep, until, yesterday } from './world.mjs';

let template;
before(async () => {
  template = await yesterday('standins');
});
after(() => template.remove());

async function story(orders, tell) {
  const t = await Torture.begin('standins', { orders, template });
  t.world.expectedComplaints = /./;
  try {
    t.heal();
    t.start();
    await until(() => t.ready(), 'the gateway to be ready');
    await until(async () => (await t.world.rows("select count(*) as n from tool_runs where state <> 'ended'"))[0].n === 0, 'the look for merges at start to end');
    await tell(t, t.world);
    await t.stop();
    assert.deepEqual(await t.world.rows('pragma integrity_check'), [{ integrity_check: 'ok' }]);
    await t.world.auditIsWhole();
  } finally {
    await t.end();
  }
}

const counts = (w) => w.rows('select (select count(*) from seen) as keys, (select count(*) from arrivals) as arrivals, (select count(*) from threads) as threads, (select count(*) from events) as events');

async function closed(w, method, path, body) {
  const answer = await w.call(method, path, body);
  assert.equal(answer.status, 503, `${method} ${path}: ${answer.text}`);
  assert.ok(Number(answer.headers.get('retry-after')) > 0, `${method} ${path} says when to come again`);
}

for (const [what, orders] of [['The disk is full', 'fail:commit:1:ENOSPC:1000000'], ['The disk takes half of it', 'fail:torn:1:ENOSPC:1000000'], ['What is written does not become durable', 'fail:sync:1:EIO:1000000']])
  test(`${what}: every door answers 503, nothing is half-stored, and all goes on when it is over`, { timeout: 90000 }, () => story(orders, async (t, w) => {
    w.slack.retryDelays = [300, 1500, 3000];
    const before = await counts(w);
    t.heal(false);
    const merge = await w.github.merge({ number: 12, title: 'Sum orders twice as fast', sha: w.v2 });
    assert.equal(merge.status, 503, 'the merge is not acknowledged');
    await closed(w, 'POST', '/v1/threads', { agent: 'deploybot', message: 'deploy something' });
    await until(async () => !(await t.ready()), 'readiness to be false');
    assert.equal((await fetch(`${w.url}/healthz`)).status, 200);
    assert.equal((await w.call('GET', '/v1/threads')).status, 200, 'what can be read is read');
    const said = w.slack.say({ user: BOB, channel: DEPLOYS, mention: true, text: 'please deploy something' });
    await until(() => w.slack.deliveries.length >= 2, 'Slack to be sent away');
    assert.ok(w.slack.deliveries.every((d) => d.status === 503), JSON.stringify(w.slack.deliveries));
    await sleep(200);
    assert.deepEqual(await counts(w), before, 'nothing of it is stored');
    t.heal();
    await until(() => t.ready(), 'it to be ready again');
    await said;
    const run = await w.run(2); // GitHub sent it once: it was looked for
    assert.equal(run.pipeline, 'shop');
    await w.open('question');
    const mentioned = (await w.threads()).filter((x) => x.agent === 'deploybot' && !x.parent);
    assert.equal(mentioned.length, 1, 'what was said is one thread');
    assert.equal((await w.call('POST', '/v1/threads', { agent: 'deploybot', message: 'deploy something' })).status, 201);
  }));

test('What cannot be read is answered 503, not that it is not there', { timeout: 90000 }, () => story('fail:read:1:EIO:1000000;fail:commit:1:EIO:1000000', async (t, w) => {
  const [thread] = await w.threads();
  const { body } = await w.call('POST', '/v1/people/alice/login', {});
  t.heal(false);
  // What is in memory can still be told; with a new connection there is nothing.
  let status = 200;
  for (let i = 0; i < 200 && status === 200; i++) ({ status } = await w.call('GET', `/v1/threads/${thread.id}/events?limit=${1 + i}`));
  assert.ok([200, 503].includes(status), `answered ${status}`);
  await closed(w, 'POST', '/v1/threads', { agent: 'deploybot', message: 'deploy something' });
  const form = await fetch(body.url, { method: 'POST', redirect: 'manual', headers: { Origin: w.url } });
  assert.equal(form.status, 503, 'a form');
  t.heal();
  await until(() => t.ready(), 'it to be ready again');
  assert.equal((await w.call('GET', `/v1/threads/${thread.id}`)).status, 200);
}));
