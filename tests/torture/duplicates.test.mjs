// The story of a merge, twice: once as it should be, once with every webhook delivered three times, at
// once, late and out of order, and every post in Slack under a second event id. Nothing is different.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ALICE, BOB, DEPLOYS, World, sleep, until } from '../stories/lib.mjs';
import { shuffled } from './lib.mjs';

// Every request that goes to a door of the gateway goes three times: two at once, in either order, and
// one late. What the sender hears is the answer of the first that came back.
function disturb(world) {
  const late = [], statuses = [];
  let n = 0;
  const thrice = (send) => async (...args) => {
    const seed = ++n;
    const wait = shuffled([0, 15, 40 + (seed % 5) * 30], seed);
    const copies = wait.map((ms) => sleep(ms).then(() => send(...args)));
    late.push(...copies, sleep(1500 + (seed % 7) * 100).then(() => send(...args)));
    for (const c of copies) c.then((a) => statuses.push(a.status));
    return Promise.race(copies);
  };
  const { slack, github } = world;
  // Twice under ids of its own: Slack may repeat one post under a second event id.
  const deliver = slack.deliver.bind(slack);
  slack.deliver = async (envelope) => {
    const again = structuredClone(envelope);
    again.event_id = `${envelope.event_id}X`;
    late.push(sleep(5 + (n % 3) * 200).then(() => deliver(again)));
    return deliver(envelope);
  };
  slack.post = thrice(slack.post.bind(slack));
  github.post = thrice(github.post.bind(github));
  return { rest: () => Promise.all(late), statuses, deliveries: () => n };
}

async function tell(w) {
  const say = async (what) => { await w.slack.say({ user: BOB, channel: DEPLOYS, ...what }); };
  await w.github.merge({ number: 11, title: 'Open the shop', sha: w.v1 });
  await w.reject('deploy_frontend', 'can you deploy the backend first?', ALICE);
  await w.approve('deploy_backend');
  await w.approve('deploy_frontend');
  assert.equal((await w.ended(await w.run(1))).outcome, 'done');
  await w.github.merge({ number: 12, title: 'Sum orders twice as fast', sha: w.v2 });
  await w.approve('deploy_frontend');
  await w.approve('deploy_backend');
  await w.approve('roll_back_backend', BOB);
  await w.ended(await w.run(2));
  const before = (await w.threads()).length;
  await say({ mention: true, text: `deploy the backend at ${w.v1}` });
  const { request } = await w.openCard('deploy_backend');
  assert.equal((await w.threads()).length, before + 1, 'one thread of one mention');
  await w.approve('deploy_backend');
  await w.ended(await w.thread(request.thread));
  // A question, answered by a plain message below it; and one, by a button.
  const ask = async (more) => {
    const answer = await w.call('POST', '/v1/requests', { kind: 'question', question: 'Which one?', contact: { channel: 'ops-slack', to: 'C0RANDOM' }, ...more });
    assert.equal(answer.status, 201, answer.text);
    return answer.body;
  };
  const free = await ask({}), choice = await ask({ question: { question: 'Now?', options: { format: 'yes_no' } } });
  await say({ channel: 'C0RANDOM', thread_ts: (await w.card(free, 'C0RANDOM')).ts, text: 'the second' });
  await w.slack.click({ user: ALICE, message: await w.card(choice, 'C0RANDOM'), what: w.slack.buttons(await w.card(choice, 'C0RANDOM'))[0] });
  for (const [r, answer] of [[free, 'the second'], [choice, 'yes']]) await until(async () => (await w.get(`/v1/requests/${r.id}`)).answer === answer, 'the answer');
}

// What is compared: everything but ids, codes, times and what depends on them.
const blank = (value) => JSON.parse(JSON.stringify(value)
  .replace(/\b([trdxm])_[0-9a-hjkmnp-tv-z]{12}\b/g, '$1_ID').replace(/\b[CD]0?[A-Z0-9]+:\d+\.\d{6}/g, 'TS').replace(/\b\d{10}\.\d{6}\b/g, 'TS')
  .replace(/"code":"\d+"/g, '"code":"0"').replace(/Request \d+/g, 'Request 0').replace(/[0-9a-f]{64}/g, 'HASH').replace(/\b[0-9a-f]{7,40}\b/g, 'SHA')
  .replace(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z| UTC)?/g, 'TIME').replace(/"(at_ms|took_ms|started_at_ms|ended_at_ms|expires_at_ms|seconds|upto|call|seq)":\d+/g, '"$1":0').replace(/127\.0\.0\.1:\d+/g, 'HERE').replace(/\d+ ms\b|\d+(\.\d+)? s\b/g, 'SOME TIME'));

// In the order of things that people do; side by side things may change places.
async function stateOf(w) {
  const threads = (await w.threads()).sort((a, b) => (a.run ?? 9) - (b.run ?? 9) || a.created_at.localeCompare(b.created_at) || a.title.localeCompare(b.title));
  const told = [];
  for (const t of threads) {
    const events = blank((await w.events(t.id)).map((e) => ({ type: e.type, actor: e.actor, data: e.data })));
    const counts = {};
    for (const e of events) counts[e.type] = (counts[e.type] ?? 0) + 1;
    told.push({ agent: t.agent, pipeline: t.pipeline, title: blank(t.title), status: t.status, outcome: t.outcome, requester: t.requester, counts, events: events.map((e) => JSON.stringify(e)).sort() });
  }
  return {
    threads: told,
    posts: [...w.slack.ours(DEPLOYS), ...w.slack.ours('C0RANDOM')].map((m) => blank(w.slack.words(m))).sort(),
    lines: w.slack.ephemerals.map((e) => blank(e.text)).sort(),
    modals: w.slack.views.length,
    holds: ['staging', 'production'].flatMap((e) => ['backend', 'frontend'].map((c) => `${e} ${c} ${w.holds(e, c) === w.v1 ? 1 : w.holds(e, c) === w.v2 ? 2 : 'none'}`)),
    waiting: await w.rows('SELECT (SELECT COUNT(*) FROM arrivals) arrivals, (SELECT COUNT(*) FROM deliveries WHERE state <> \'sent\') deliveries'),
  };
}

async function play(disturbed, socket) {
  const w = await World.begin({ socket });
  try {
    const chaos = disturbed ? disturb(w) : null;
    await tell(w);
    await chaos?.rest();
    await until(async () => (await w.rows("SELECT (SELECT COUNT(*) FROM arrivals) + (SELECT COUNT(*) FROM deliveries WHERE state <> 'sent') n"))[0].n === 0, 'rest');
    await sleep(300);
    const state = await stateOf(w);
    await w.auditIsWhole();
    return { state, chaos };
  } catch (error) {
    error.message += `\n--- end of the log\n${w.log().slice(-1500)}`;
    throw error;
  } finally {
    await w.end();
  }
}

for (const socket of [false, true]) test(`Every ${socket ? 'envelope' : 'webhook'} three times, at once, late and out of order, and every post under two event ids: nothing is different`, { timeout: 180000 }, async (t) => {
  const [calm, wild] = await Promise.all([play(false, socket), play(true, socket)]);
  t.diagnostic(`${wild.chaos.deliveries()} deliveries, ${wild.chaos.statuses.length} copies`);
  assert.ok(wild.chaos.deliveries() >= 15, 'the story has many webhooks');
  assert.deepEqual(wild.chaos.statuses.filter((s) => ![200, 202].includes(s)), [], 'each copy is acknowledged');
  assert.deepEqual(wild.state, calm.state);
});
