// Thousands of decisions by everybody at once, over every way there is: one outcome each, one vote a
// person, every click answered, every copy edited, and the requester refused wherever he tries.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ALICE, BOB, CAROL, EVE, story, until } from '../stories/lib.mjs';
import { atOnce, direct, groupBy, isFull, shuffled, signIn } from './lib.mjs';

const REQUESTS = isFull ? 1000 : 200;
const DECISIONS = 10; // for each request
const BY_TERMINAL = isFull ? 100 : 12; // a process each
const CHANNELS = Array.from({ length: 8 }, (_, i) => `C0OPS${i}`); // a conversation sends one message at a time
const DANA = 'U0DANA';

// Dana may decide as well; one or two approvals are needed; Bob asks, so he may not.
function configure(config, world) {
  direct(config);
  world.slack.addUser(DANA);
  config.people.push({ id: 'dana', name: 'Dana Iwu', slack: DANA, roles: ['deployer'], github: 'dana-iwu' });
  config.api_keys.find((k) => k.name === 'bob-cli').scopes.push('requests:write');
  for (const [i, channel] of CHANNELS.entries()) {
    world.slack.addChannel(channel);
    const policy = { approve: { role: 'deployer', count: 1 + (i % 2) }, reject: 1, not_requester: true, ask: [{ channel: 'ops-slack', to: channel }], expire: '4h', on_expire: 'refuse' };
    config.policies[`p${i}`] = policy;
  }
}

// → {way, who, says}: what was tried, by whom, and what came back, in one shape.
const slackUsers = { alice: ALICE, bob: BOB, carol: CAROL, dana: DANA, eve: EVE };

function ways(w, pages) {
  const click = async (who, request, what) => {
    const { message, open } = request;
    const answer = await w.slack.click({ user: slackUsers[who], message, stale: open, what });
    return { way: 'slack', who, status: answer.status };
  };
  const call = async (who, request, body, key) => {
    const answer = await w.call('POST', `/v1/requests/${request.id}/decision`, body, key);
    const sentence = answer.status === 200 ? 'ok' : answer.body.error.message;
    return { way: 'api', who, status: answer.status, sentence };
  };
  const page = async (who, request, fields) => {
    const { api, token } = pages[who];
    const answer = await api.post(`/requests/${request.id}`, { ...fields, form_token: token });
    return { way: 'page', who, status: answer.status, result: /result=(\w+)/.exec(answer.headers.get('location'))?.[1] };
  };
  return [
    (r) => click('alice', r, 'Approve'), (r) => click('dana', r, 'Approve'), (r) => click('bob', r, 'Approve'),
    (r) => click('carol', r, 'Approve'), (r) => click('eve', r, 'Approve'),
    (r) => call('alice', r, { decision: 'approve' }, w.key.alice), (r) => call('alice', r, { decision: 'reject', comment: 'no' }, w.key.alice),
    (r) => call('bob', r, { decision: 'approve' }, w.key.bob), (r) => call('bob', r, { decision: 'approve', as: 'bob' }, w.key.desk),
    (r) => call('dana', r, { decision: 'approve', as: 'dana' }, w.key.desk), (r) => call('nobody', r, { decision: 'approve', as: 'nobody' }, w.key.desk),
    (r) => call('nobody', r, { decision: 'approve' }, w.key.admin),
    (r) => page('alice', r, { decision: 'approve' }), (r) => page('dana', r, { decision: 'approve', comment: 'go' }),
    (r) => page('carol', r, { decision: 'approve' }), (r) => page('bob', r, { decision: 'approve' }),
  ];
}

const MAY = ['alice', 'dana'];

function checkAnswer(a) {
  const said = JSON.stringify(a);
  if (a.way === 'slack') return assert.equal(a.status, 200, said);
  if (a.way === 'page') {
    assert.equal(a.status, 303, said);
    return assert.ok((MAY.includes(a.who) ? ['counted', 'decided', 'same', 'too_late'] : ['not_allowed', 'too_late']).includes(a.result), said);
  }
  if (a.way === 'terminal') {
    assert.ok((MAY.includes(a.who) ? [0, 1] : [1]).includes(a.status), said);
    return assert.ok(a.sentence.length > 10, said);
  }
  assert.ok((MAY.includes(a.who) ? [200, 409] : [403, 409]).includes(a.status), said);
  if (a.status !== 200) assert.ok(a.sentence.length > 20, said);
  return undefined;
}

async function allOf(w, path, name) {
  const all = [];
  for (let cursor = ''; cursor !== null;) {
    const page = await w.get(`${path}?limit=500${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    all.push(...page[name]);
    cursor = page.next;
  }
  return all;
}

story(test, `${REQUESTS * DECISIONS} decisions on ${REQUESTS} requests: one winner each, and everybody is answered`, { configure, timeout: 900000 }, async (w, t) => {
  const asked = await atOnce(16, Array.from({ length: REQUESTS }, (_, i) => async () => {
    const answer = await w.call('POST', '/v1/requests', { kind: 'approval', policy: `p${i % CHANNELS.length}`, call: { tool: 'restart', arguments: { n: i } } }, w.key.bob);
    assert.equal(answer.status, 201, answer.text);
    return answer.body;
  }));
  assert.equal(new Set(asked.map((r) => r.code)).size, REQUESTS, 'each has a code of its own');
  const cards = new Map();
  await until(() => {
    for (const c of CHANNELS) for (const m of w.slack.ours(c)) cards.set(/Request (\d+)/.exec(w.slack.words(m))?.[1], m);
    return asked.every((r) => cards.has(r.code));
  }, 'every card', 240000);
  for (const r of asked) {
    r.message = cards.get(r.code);
    r.open = { ...r.message, blocks: structuredClone(r.message.blocks) }; // as somebody still has it on the screen
  }
  // Who may not decide sees no form; the one of a question, which anybody may answer, has the token too.
  const question = (await w.call('POST', '/v1/requests', { kind: 'question', question: 'Who is there?' })).body;
  const pages = {};
  for (const who of ['alice', 'bob', 'carol', 'dana']) {
    const api = await signIn(w, who);
    pages[who] = { api, token: await api.token(`/requests/${question.id}`) };
  }
  const all = ways(w, pages);
  const byTerminal = async (r, i) => {
    const who = ['alice', 'bob'][i % 2];
    const { code, stdout, stderr } = await w.cli(['approve', r.code], w.remote(w.key[who]));
    return { way: 'terminal', who, status: code, sentence: stdout + stderr };
  };
  const jobs = asked.flatMap((r, i) => shuffled(all, i + 1).slice(0, DECISIONS).map((way) => async () => ({ ...(await way(r)), request: r })));
  for (let i = 0; i < BY_TERMINAL; i++) jobs[i * Math.floor(jobs.length / BY_TERMINAL)] = async () => ({ ...(await byTerminal(asked[i], i)), request: asked[i] });
  const begin = Date.now();
  const answers = await atOnce(48, shuffled(jobs, 7));
  const took = Date.now() - begin;
  for (const a of answers) checkAnswer({ ...a, request: undefined });

  // What is still open gets the votes that it needs; then the channels come to rest.
  await until(async () => (await w.rows('SELECT COUNT(*) n FROM arrivals'))[0].n === 0, 'every click to be routed', 60000);
  for (const r of (await allOf(w, '/v1/requests', 'requests')).filter((r) => r.status === 'open' && r.kind === 'approval'))
    for (const as of ['alice', 'dana']) await w.call('POST', `/v1/requests/${r.id}/decision`, { decision: 'approve', as }, w.key.desk);
  await until(async () => (await w.rows("SELECT COUNT(*) n FROM deliveries WHERE state <> 'sent'"))[0].n === 0, 'every message to be sent', 240000);

  const now = new Map((await allOf(w, '/v1/requests', 'requests')).map((r) => [r.id, r]));
  assert.equal(now.size, REQUESTS + 1);
  const events = await w.rows("SELECT type, actor, json_extract(data, '$.request') request, json_extract(data, '$.outcome') outcome, json_extract(data, '$.via') via, seq FROM events WHERE type IN ('vote','vote_refused','request_decided') ORDER BY thread, seq");
  const eventsOf = groupBy(events, (e) => e.request);
  const spoken = groupBy(w.slack.ephemerals, (e) => `${e.user} ${e.thread_ts}`);
  let clicks = 0;
  for (const r of asked) {
    const is = now.get(r.id), log = eventsOf.get(r.id);
    const outcomes = log.filter((e) => e.type === 'request_decided');
    assert.equal(outcomes.length, 1, `request ${r.code} has one outcome`);
    assert.equal(outcomes[0].outcome, is.status);
    assert.ok(['approved', 'rejected'].includes(is.status));
    assert.equal(new Set(is.votes.map((v) => v.person)).size, is.votes.length, 'one vote a person');
    assert.ok(is.votes.every((v) => MAY.includes(v.person)), `votes of ${is.votes.map((v) => v.person)}`);
    const needed = is.status === 'approved' ? 1 + (asked.indexOf(r) % CHANNELS.length % 2) : 1;
    assert.equal(is.votes.filter((v) => v.decision === (is.status === 'approved' ? 'approve' : 'reject')).length, needed, `the votes of request ${r.code}: ${JSON.stringify(is.votes)}`);
    assert.ok(!log.some((e) => e.type === 'vote' && ['person:bob', 'person:carol'].includes(e.actor)));
    assert.ok(!log.some((e) => e.type === 'vote' && e.seq > outcomes[0].seq), 'no vote counts after the outcome');
    assert.equal(w.slack.buttons(r.message).length, 0, `the card of request ${r.code} has no buttons`);
    assert.match(w.slack.words(r.message), new RegExp(is.status, 'i'));
    // A click is answered by the card when it decided, else by a line to who clicked.
    const winner = log[log.indexOf(outcomes[0]) - 1];
    for (const [who, user] of Object.entries(slackUsers)) {
      const own = answers.filter((a) => a.way === 'slack' && a.request === r && a.who === who).length;
      const decided = own > 0 && winner.via === 'ops-slack' && winner.actor === `person:${who}` ? 1 : 0;
      const lines = (spoken.get(`${user} ${r.message.thread_ts ?? r.message.ts}`) ?? []).length;
      assert.equal(lines, own - decided, `${who} clicked ${own} times on request ${r.code}, ${decided} decided, and heard ${lines} times`);
      clicks += own;
    }
  }
  const refusedBob = answers.filter((a) => a.who === 'bob');
  for (const way of ['slack', 'api', 'page', 'terminal']) assert.ok(refusedBob.some((a) => a.way === way), `Bob tried by ${way}`);
  assert.equal(w.slack.complaints.length, 0, w.slack.complaints[0]);
  await w.auditIsWhole();
  t.diagnostic(`${answers.length} decisions in ${took} ms (${Math.round(answers.length / took * 1000)} a second), ${clicks} of them clicks in Slack`);
});
