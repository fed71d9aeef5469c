// What is promised whatever happens (DESIGN section 4): stored once, decided once, run once, by the
// right person, and everybody is answered.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { golden } from '../standins/server.mjs';
import { ALICE, BOB, CAROL, DEPLOYS, EVE, sleep, story, until } from './lib.mjs';

// Production takes any commit, so that a story can begin with a proposal.
const direct = (config) => delete config.environments.production.promote_from;

// Bob asks; the card is in the channel.
async function propose(w, { component = 'backend', sha = w.v1, key = w.key.bob } = {}) {
  const answer = await w.call('POST', '/v1/threads', { agent: 'deploybot', message: `deploy the ${component} at ${sha}` }, key);
  assert.equal(answer.status, 201, answer.text);
  const { request, message } = await w.openCard(`deploy_${component}`);
  return { thread: answer.body, request, message };
}

const counts = async (w) => (await w.rows('SELECT (SELECT COUNT(*) FROM arrivals) arrivals, (SELECT COUNT(*) FROM threads) threads, (SELECT COUNT(*) FROM events) events, (SELECT COUNT(*) FROM seen) seen'))[0];

// ---- doors ---------------------------------------------------------------------------------------

story(test, 'A webhook that is delivered three times is stored once', {}, async (w) => {
  const sha = await w.goodCommit();
  w.file('e2e.sh', '#!/bin/sh\nexec sleep 60\n', 0o755);
  const payload = await w.github.merge({ number: 7, title: 'Once', sha }, { send: false });
  const first = w.github.deliver(payload, { guid: 'same' });
  const statuses = (await Promise.all([first, w.github.deliver(payload, { guid: 'same' }), w.github.deliver(payload, { guid: 'same' })])).map((d) => d.status);
  assert.ok(statuses.every((s) => s >= 200 && s < 300), `every copy is acknowledged: ${statuses}`);
  await w.run(1);
  const other = await w.github.deliver(payload, { guid: 'another' }); // sent from a second hook
  assert.ok(other.status < 300);
  // Slack repeats one message under two event ids, and each of them when it pleases.
  const mention = await w.slack.say({ user: BOB, channel: DEPLOYS, mention: true, text: 'deploy the backend at 1234567', copies: 3 });
  assert.equal(w.slack.deliveries.length, 6);
  assert.ok(w.slack.deliveries.every((d) => d.status === 200 && d.attempt === 0));
  await until(async () => (await w.threads()).some((t) => t.agent), 'the thread of the mention');
  await sleep(300);
  const threads = await w.threads();
  assert.equal(threads.filter((t) => t.pipeline).length, 1);
  assert.equal(threads.filter((t) => t.agent).length, 1);
  const said = await w.eventsOf(threads.find((t) => t.agent).id, 'slack_message');
  assert.deepEqual(said.map((e) => e.data.ts), [mention.ts]);
});

story(test, 'Unsigned, wrongly signed and stale webhooks get 401, and nothing is stored', {}, async (w) => {
  const before = await counts(w);
  const body = JSON.stringify(w.slack.envelope({ type: 'app_mention', user: BOB, text: `<@${w.slack.bot}> deploy`, channel: DEPLOYS, ts: '1.000001' }, 'app_mention'));
  const now = Math.floor(Date.now() / 1000);
  const slack = [
    ['unsigned', { headers: { 'X-Slack-Signature': '', 'X-Slack-Request-Timestamp': '' } }],
    ['another secret', { secret: 'other' }],
    ['stale', { at: now - 301 }],
    ['from the future', { at: now + 310 }],
    ['no number as time', { headers: { 'X-Slack-Request-Timestamp': 'now' } }],
    ['another version', { headers: { 'X-Slack-Signature': w.slack.sign(body)['X-Slack-Signature'].replace('v0=', 'v1=') } }],
    ['upper case', { headers: { 'X-Slack-Signature': w.slack.sign(body)['X-Slack-Signature'].toUpperCase() } }],
  ];
  for (const [name, how] of slack)
    for (const path of ['/events', '/interactions', '/commands']) {
      const answer = await w.slack.post(path, body, how);
      assert.deepEqual([answer.status, answer.body], [401, ''], `${name} at ${path}`);
    }
  const signedForOther = w.slack.sign('{}');
  assert.equal((await w.slack.post('/events', body, { headers: signedForOther })).status, 401, 'a signature over another body');
  const merge = golden('github/pull_request.closed-merged.json');
  for (const how of [{ signature: null }, { secret: 'other' }, { signature: 'sha256=' }, { signature: null, headers: { 'X-Hub-Signature': `sha1=${createHmac('sha1', w.github.secret).update(merge).digest('hex')}` } }])
    assert.equal((await w.github.post(merge, { event: 'pull_request', guid: 'g', ...how })).status, 401);
  assert.deepEqual(await counts(w), before);
  const metrics = (await w.call('GET', '/metrics')).text;
  assert.match(metrics, /signoff_\w*(denied|refused)\w*\{?[^\n]* (2[0-9])\b/, 'they are counted');
});

story(test, 'Well-signed but not understood is 200 and ignored; malformed is 400; too large is 413', {}, async (w) => {
  const before = await counts(w);
  const slack = (body, how) => w.slack.post('/events', typeof body === 'string' ? body : JSON.stringify(body), how);
  assert.deepEqual((({ status, body }) => [status, JSON.parse(body)])(await slack(golden('slack/event--url_verification.json').toString())), [200, { challenge: JSON.parse(golden('slack/event--url_verification.json')).challenge }]);
  assert.equal((await slack(golden('slack/event--message_changed.json').toString())).status, 200);
  assert.equal((await slack(golden('slack/event--message--modern_bot_no_subtype.json').toString())).status, 200);
  assert.equal((await slack({ type: 'event_callback', event: { type: 'emoji_changed' }, event_id: 'Ev1' })).status, 200);
  assert.equal((await slack({ type: 'app_rate_limited', team_id: 'T', minute_rate_limited: 1 })).status, 200);
  for (const bad of ['{"type":', '[]]', '{"a":1,"a":2}', '"\\ud800"', '{"type":"event_callback","event":{"type":"message","user":"U1","text":"a\\u0000b","channel":"C1","ts":"1.1"},"event_id":"Ev2"}'])
    assert.equal((await slack(bad)).status, 400, bad);
  assert.equal((await slack(JSON.stringify({ pad: 'x'.repeat(1 << 20) }))).status, 413);
  assert.equal((await w.slack.post('/interactions', 'payload=%7B', { contentType: 'application/x-www-form-urlencoded' })).status, 400);
  assert.equal((await w.slack.post('/interactions', 'nothing=1', { contentType: 'application/x-www-form-urlencoded' })).status, 400);
  // Slack's probe is unsigned by design: 200, and whatever is smuggled beside it is not looked at.
  const probe = await fetch(`${w.url}/slack/interactions`, { method: 'POST', headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, body: `${golden('slack/ssl_check_form.txt')}&payload=${encodeURIComponent('{"type":"block_actions"}')}` });
  assert.deepEqual([probe.status, await probe.text()], [200, '']);
  for (const [file, event] of [['ping.repo-hook.json', 'ping'], ['push.branch.json', 'push'], ['pull_request.closed-unmerged.json', 'pull_request'], ['pull_request.closed-merged.json', 'pull_request']]) {
    const d = await w.github.post(golden(`github/${file}`), { event, guid: file });
    assert.ok(d.status >= 200 && d.status < 300, `${file}: ${d.status}`); // the last one is of another repository
  }
  assert.equal((await w.github.post(Buffer.from('{"action":'), { event: 'pull_request', guid: 'x' })).status, 400);
  assert.deepEqual(await counts(w), before);
  const form = await w.github.merge({ number: 3, title: 'As a form', sha: w.v1 }, { form: true });
  assert.ok(form.status < 300);
  await w.run(1);
});

// ---- decisions ------------------------------------------------------------------------------------

story(test, 'Late, double, unauthorised and unknown decisions are each answered, and change nothing', { configure: direct }, async (w) => {
  const { request, message } = await propose(w);
  const open = { ...message, blocks: structuredClone(message.blocks) };
  const stays = async (status) => assert.equal((await w.get(`/v1/requests/${request.id}`)).status, status);
  // Not a person of the configuration; a person who may not.
  await w.slack.click({ user: EVE, message, what: 'Approve' });
  await w.ephemeral(EVE, /do not know you|only people/i);
  await w.slack.click({ user: CAROL, message, what: 'Approve' });
  await w.ephemeral(CAROL, /may not|cannot|only|deployer/i);
  await stays('open');
  for (const [body, key, status, code] of [
    [{ decision: 'approve' }, w.key.admin, 403, 'not_allowed'], // a key without a person
    [{ decision: 'approve', as: 'alice' }, w.key.admin, 403, 'not_allowed'], // `*` is not decide_as
    [{ decision: 'approve', as: 'carol' }, w.key.desk, 403, 'not_allowed'],
    [{ decision: 'answer', answer: 'yes' }, w.key.alice, 400, 'invalid'],
    [{ decision: 'maybe' }, w.key.alice, 400, 'invalid'],
  ]) {
    const answer = await w.call('POST', `/v1/requests/${request.id}/decision`, body, key);
    assert.deepEqual([answer.status, answer.body.error.code], [status, code], answer.text);
    assert.ok(answer.body.error.message.length > 10, 'with a sentence');
  }
  assert.equal((await w.decide('r_000000000000', 'approve')).status, 404);
  assert.equal((await w.decide('0000', 'approve')).status, 404);
  await stays('open');
  const fake = structuredClone(open);
  fake.blocks.find((b) => b.type === 'actions').elements[0].value = 'r_000000000000';
  await w.slack.click({ user: ALICE, message, stale: fake, what: 'Approve' });
  await w.ephemeral(ALICE, /know no/i);
  // Decided once; the same vote again is no error; another one comes too late.
  await w.approve('deploy_backend');
  assert.equal((await w.decide(request, 'approve')).status, 200, 'the same vote again');
  const late = await w.decide(request, 'reject', { comment: 'no' });
  assert.deepEqual([late.status, late.body.error.code, late.body.request.status], [409, 'already_decided', 'approved']);
  assert.match(late.body.error.message, /Alice Ng/, 'it says who decided');
  await w.slack.click({ user: BOB, message, stale: open, what: 'Approve' });
  await w.ephemeral(BOB, /approved already.*Alice Ng/);
  w.slack.ephemerals = [];
  await w.slack.click({ user: ALICE, message, stale: open, what: 'Reject' });
  await w.ephemeral(ALICE, /decided already.*Alice Ng|approved already.*Alice Ng/);
  await stays('approved');
  const { id } = (await w.threads())[0];
  await until(async () => (await w.eventsOf(id, 'tool_finished')).some((e) => e.data.tool === 'deploy_backend'), 'the deployment');
  assert.equal((await w.eventsOf(id, 'tool_started')).filter((e) => e.data.tool === 'deploy_backend').length, 1, 'it ran once');
  assert.ok((await w.eventsOf(id, 'vote_refused')).length >= 5, 'refused votes are on the record');
  assert.ok((await w.eventsOf(id, 'vote_refused')).some((e) => e.actor === `slack:${EVE}`));
});

story(test, 'Ten clicks at once decide once', { configure: direct }, async (w) => {
  const { thread, request, message } = await propose(w);
  const clicks = Array.from({ length: 5 }, () => w.slack.click({ user: ALICE, message, what: 'Approve', stale: structuredClone(message) }));
  const calls = Array.from({ length: 5 }, (_, i) => w.decide(request, i % 2 ? 'approve' : 'reject'));
  await Promise.all([...clicks, ...calls]);
  const decided = await until(async () => {
    const r = await w.get(`/v1/requests/${request.id}`);
    return r.status !== 'open' && r;
  }, 'a decision');
  assert.equal((await w.eventsOf(thread.id, 'request_decided')).length, 1);
  assert.equal(decided.votes.length, 1, 'one person is one vote');
  await sleep(500);
  const started = (await w.eventsOf(thread.id, 'tool_started')).filter((e) => e.data.tool === 'deploy_backend');
  assert.equal(started.length, decided.status === 'approved' ? 1 : 0);
});

story(test, 'Who asked for it cannot approve it: in Slack, on the page, by key or in a terminal', { configure: direct }, async (w) => {
  const { request, message } = await propose(w); // by Bob
  await w.slack.click({ user: BOB, message, what: 'Approve' });
  await w.ephemeral(BOB, /asked for it|requester|yourself|your own/i);
  const byKey = await w.decide(request, 'approve', {}, w.key.bob);
  assert.deepEqual([byKey.status, byKey.body.error.code], [403, 'not_allowed']);
  const forBob = await w.decide(request, 'approve', { as: 'bob' }, w.key.desk);
  assert.deepEqual([forBob.status, forBob.body.error.code], [403, 'not_allowed']);
  const terminal = await w.cli(['approve', request.code], w.remote(w.key.bob));
  assert.equal(terminal.code, 1);
  assert.match(terminal.stderr + terminal.stdout, /asked for it|requester|yourself|your own/i);
  const page = await signIn(w, 'bob');
  const posted = await page.post(`/requests/${request.id}`, { decision: 'approve', form_token: await page.token(`/requests/${request.id}`) });
  assert.match(decodeURIComponent(posted.headers.get('location') ?? ''), /not_allowed/);
  assert.equal((await w.get(`/v1/requests/${request.id}`)).status, 'open');
  assert.equal(w.holds('production', 'backend'), null);
  // Reject he may.
  const no = await w.decide(request, 'reject', { comment: 'stop, I was wrong' }, w.key.bob);
  assert.equal(no.body.status, 'rejected');
});

// A person in a browser, without the browser.
async function signIn(w, person) {
  const link = await w.call('POST', `/v1/people/${person}/login`, {}, w.key.admin);
  assert.equal(link.status, 200, link.text);
  const path = new URL(link.body.url).pathname;
  const seen = await w.call('GET', path, undefined, null);
  assert.equal(seen.status, 200);
  const form = (fields) => new URLSearchParams(fields).toString();
  const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
  const signed = await w.call('POST', path, form({}), null, headers);
  assert.ok([302, 303].includes(signed.status), signed.text);
  const cookie = signed.headers.get('set-cookie');
  assert.match(cookie, /HttpOnly/);
  assert.match(cookie, /SameSite=Lax/);
  const session = cookie.split(';')[0];
  const get = (p) => w.call('GET', p, undefined, null, { Cookie: session });
  return {
    cookie: session, get, path,
    post: (p, fields, more = {}) => w.call('POST', p, form(fields), null, { ...headers, Cookie: session, ...more }),
    token: async (p) => /name="form_token" value="([^"]+)"/.exec((await get(p)).text)?.[1],
  };
}

story(test, 'A sign-in link works once, by POST; a form needs its session and its own origin; GET decides nothing', { configure: direct }, async (w) => {
  const { request } = await propose(w);
  const page = await signIn(w, 'alice');
  assert.equal((await w.call('POST', page.path, '', null, { 'Content-Type': 'application/x-www-form-urlencoded' })).status, 403, 'the link is spent');
  const at = `/requests/${request.id}`;
  const token = await page.token(at);
  assert.ok(token);
  for (const method of ['GET', 'HEAD'])
    for (const path of [`${at}?decision=approve&form_token=${token}`, `/v1/requests/${request.id}/decision?decision=approve`, `/r/${request.id}?decision=approve`]) {
      const answer = await w.call(method, path, undefined, method === 'GET' && path.startsWith('/v1') ? w.key.alice : null, { Cookie: page.cookie });
      assert.ok([200, 401, 404, 405].includes(answer.status), `${method} ${path}: ${answer.status}`);
    }
  assert.equal((await page.post(at, { decision: 'approve' })).status, 403, 'no form token');
  assert.equal((await page.post(at, { decision: 'approve', form_token: token.replace(/./g, '0') })).status, 403);
  assert.equal((await page.post(at, { decision: 'approve', form_token: token }, { Origin: 'https://evil.test' })).status, 403);
  const stranger = await w.call('POST', at, `decision=approve&form_token=${token}`, null, { 'Content-Type': 'application/x-www-form-urlencoded' });
  assert.notEqual(stranger.status, 200);
  assert.equal((await w.get(`/v1/requests/${request.id}`)).status, 'open');
  for (const path of ['/', at, `/threads/${request.thread}`]) {
    const seen = await w.call('GET', path, undefined, null);
    assert.doesNotMatch(seen.text, /deploy_backend/, `${path} shows nothing without a session`);
  }
  const done = await page.post(at, { decision: 'approve', comment: 'go', form_token: token });
  assert.ok([302, 303].includes(done.status), done.text);
  const after = await w.get(`/v1/requests/${request.id}`);
  assert.deepEqual([after.status, after.decided_by, after.votes[0].via, after.comment], ['approved', 'person:alice', 'web', 'go']);
});

story(test, 'A request that needs two people shows the first vote, and counts each person once', { configure: (c) => { direct(c); c.policies['prod-signoff'].approve = { role: 'deployer', count: 2 }; c.policies['prod-signoff'].not_requester = false; } }, async (w) => {
  const { request, message } = await propose(w);
  await w.slack.click({ user: ALICE, message, what: 'Approve' });
  await until(() => /Votes so far: .*approve/i.test(w.slack.words(message)), 'the vote on the card');
  await w.slack.click({ user: ALICE, message, what: 'Approve' });
  assert.equal((await w.decide(request, 'approve')).body.status, 'open', 'one person by two channels is one vote');
  await w.slack.click({ user: BOB, message, what: 'Approve' });
  await until(() => w.slack.buttons(message).length === 0, 'the decision');
  assert.deepEqual((await w.get(`/v1/requests/${request.id}`)).votes.map((v) => v.person).sort(), ['alice', 'bob']);
});

// ---- what was approved is what runs -------------------------------------------------------------

story(test, 'A call that was changed in the database after it was shown is refused', { configure: direct }, async (w) => {
  const { thread, request } = await propose(w, { sha: w.v1 });
  await w.sql(`UPDATE requests SET canonical = replace(canonical, '${w.v1}', '${w.v2}') WHERE id = '${request.id}'`);
  await w.decide(request, 'approve');
  const [finished] = await until(async () => {
    const f = (await w.eventsOf(thread.id, 'tool_finished')).filter((e) => e.data.tool === 'deploy_backend');
    return f.length && f;
  }, 'the call to be refused');
  assert.equal(finished.data.outcome, 'refused');
  assert.match(finished.data.result.error, /digest/);
  assert.equal(w.holds('production', 'backend'), null);
});

story(test, 'A branch that moved between the approval and the run is refused, and the agent asks anew', { configure: direct, model: () => ({ intent: 'deploy_backend', sha: 'main' }) }, async (w) => {
  const { thread, request } = await propose(w, { sha: 'main' });
  assert.equal(request.arguments.sha, w.v2, 'the card names the commit, not the branch');
  const moved = await w.goodCommit('Meanwhile');
  await w.decide(request, 'approve');
  const again = await w.open('deploy_backend');
  assert.equal(again.arguments.sha, moved, 'a new request, for what the branch is now');
  const events = await w.events(thread.id);
  const after = events.filter((e) => e.for_agent && e.seq > events.find((x) => x.type === 'request_decided').seq);
  assert.match(JSON.stringify(after), /main/, 'the agent was told why');
  assert.match(JSON.stringify(after), /moved|no longer|now|changed/);
  assert.equal(events.filter((e) => e.type === 'tool_started' && e.data.tool === 'deploy_backend').length, 0);
  assert.equal(w.holds('production', 'backend'), null);
});

story(test, 'A branch that stayed where it was runs once it is approved, and the model is not asked in between', { configure: direct, model: (r) => (/<deploy_backend_result>/.test(r.user) ? { intent: 'done_for_now', message: 'Out.' } : { intent: 'deploy_backend', sha: 'main' }) }, async (w) => {
  const { thread, request } = await propose(w, { sha: 'main' });
  await w.decide(request, 'approve');
  await until(() => w.holds('production', 'backend') === w.v2, 'the deployment');
  await w.ended(thread);
  assert.equal(w.model.calls.length, 2);
  assert.equal((await w.requests()).length, 1);
});

story(test, 'A locked production refuses, says whose lock it is, and takes the call after unlocking', { configure: direct }, async (w) => {
  const locked = await w.cli(['lock', 'production', '-m', 'incident 42'], w.remote(w.key.desk));
  const lock = locked.code === 0 ? null : await w.call('POST', '/v1/environments/production/lock', { reason: 'incident 42' }, w.key.desk);
  assert.ok(lock === null || lock.status === 200, `${locked.stderr}${lock?.text}`);
  const { thread } = await propose(w);
  await w.approve('deploy_backend');
  const refused = await until(async () => (await w.eventsOf(thread.id, 'tool_finished')).find((e) => e.data.tool === 'deploy_backend'), 'the refusal');
  assert.equal(refused.data.outcome, 'refused');
  assert.match(refused.data.result.error, /production is locked by .*: incident 42/);
  assert.equal(w.holds('production', 'backend'), null);
  const request = await w.open('question');
  assert.match(request.question, /locked by/);
  assert.equal((await w.call('POST', '/v1/environments/production/unlock', {}, w.key.desk)).status, 200);
  await w.decide(request, 'answer', { answer: 'deploy the backend first' });
  await w.approve('deploy_backend');
  await until(() => w.holds('production', 'backend') === w.v1, 'the deployment');
});

// ---- time and delivery ----------------------------------------------------------------------------

story(test, 'Nobody answers in time: the request expires, the agent is told, a late click is answered', { configure: (c) => { direct(c); c.policies['prod-signoff'].expire = '1s'; } }, async (w) => {
  const { thread, request, message } = await propose(w);
  const open = { ...message, blocks: structuredClone(message.blocks) };
  const end = await w.ended(thread);
  assert.equal(end.status, 'done');
  assert.equal((await w.get(`/v1/requests/${request.id}`)).status, 'expired');
  const context = (await w.get(`/v1/threads/${thread.id}/context`)).text;
  assert.match(context, /nobody answered within 1s/);
  await until(() => w.slack.buttons(message).length === 0 && /Expired/.test(w.slack.words(message)), 'the card to say so');
  await w.slack.click({ user: ALICE, message, stale: open, what: 'Approve' });
  await w.ephemeral(ALICE, /expired/i);
  const late = await w.decide(request, 'approve');
  assert.deepEqual([late.status, late.body.error.code], [409, 'expired']);
  assert.equal(w.holds('production', 'backend'), null);
});

story(test, 'An ask that cannot be delivered: the next one is taken at once, and the thread says why', { configure: (c) => { direct(c); c.policies['prod-signoff'].ask = [{ channel: 'ops-slack', to: 'C0NOWHERE' }, { after: '1h', channel: 'ops-slack', to: 'C0RANDOM' }]; } }, async (w) => {
  w.expectedComplaints = /channel_not_found/;
  const answer = await w.call('POST', '/v1/threads', { agent: 'deploybot', message: `deploy the backend at ${w.v1}` }, w.key.bob);
  const request = await w.open('deploy_backend');
  const message = await w.card(request, 'C0RANDOM');
  const [failed] = await w.eventsOf(answer.body.id, 'delivery_failed');
  assert.match(failed.data.why, /channel does not exist or the app is not in it \(\/invite\)/);
  await w.slack.click({ user: ALICE, message, what: 'Approve' });
  await until(() => w.holds('production', 'backend') === w.v1, 'the deployment');
});

story(test, 'A post that is cut after Slack acted is looked up and not posted twice; cut before, it is posted once', { configure: direct }, async (w) => {
  w.slack.fail('chat.postMessage', { cut: 'after' });
  const first = await propose(w);
  await until(async () => (await w.eventsOf(first.thread.id, 'delivery_sent')).length > 0, 'the delivery to be settled');
  const cards = () => w.slack.ours(DEPLOYS).filter((m) => w.slack.words(m).includes(`Request ${first.request.code}`));
  assert.equal(cards().length, 1);
  assert.ok(w.slack.callsOf('conversations.history').length + w.slack.callsOf('conversations.replies').length >= 1, 'it was looked up');
  assert.equal(w.slack.callsOf('chat.postMessage').length, 1);
  await w.slack.click({ user: ALICE, message: cards()[0], what: 'Approve' });
  await until(() => w.slack.buttons(cards()[0]).length === 0, 'the found card to be edited');
  w.slack.fail('chat.postMessage', { cut: 'before' });
  await until(() => w.holds('production', 'backend') === w.v1, 'the deployment');
  await w.ended(first.thread);
  const second = await propose(w, { component: 'frontend' });
  await until(async () => (await w.eventsOf(second.thread.id, 'delivery_sent')).length > 0, 'the second delivery');
  assert.equal(w.slack.ours(DEPLOYS).filter((m) => w.slack.words(m).includes(`Request ${second.request.code}`)).length, 1);
});

story(test, 'Slack is down: what waits for it costs nothing, and all of it arrives in its order afterwards', {}, async (w) => {
  w.slack.fail('chat.postMessage', { status: 503 }, 3);
  await w.github.merge({ number: 11, title: 'Open the shop', sha: w.v1 });
  const request = await w.open('deploy_frontend');
  const waiting = () => w.rows("select state, count(*) as n from deliveries where state in ('queued', 'due', 'sending') group by 1");
  await until(async () => (await waiting()).some((r) => r.state === 'queued'), 'a message that waits behind another');
  const commits = async () => Number((await w.call('GET', '/metrics')).text.match(/commits_total (\d+)/)[1]);
  const before = await commits();
  await sleep(1000);
  assert.ok(await commits() - before < 30, 'it waits without working');
  await w.card(request);
  const posted = w.slack.callsOf('chat.postMessage').filter((c) => c.answer.body?.ok).map((c) => c.body.toString());
  assert.match(posted[0], /run 1/i, 'the run comes before its card');
  assert.match(posted[1], new RegExp(request.code));
});

story(test, 'Slack asks to slow down: that conversation waits, others do not', { configure: (c) => { direct(c); c.agents.deploybot.contact = { channel: 'ops-slack', to: 'C0RANDOM' }; } }, async (w) => {
  w.slack.fail((call) => call.name === 'chat.postMessage' && call.body.includes(DEPLOYS), { status: 429, retryAfter: 2 });
  const begin = Date.now();
  const { thread } = await propose(w);
  assert.ok(Date.now() - begin >= 1900, `it waited as told (${Date.now() - begin} ms)`);
  assert.equal(w.slack.callsOf('chat.postMessage').length, 2);
  w.slack.fail((call) => call.name === 'chat.postMessage' && call.body.includes(DEPLOYS), { status: 429, retryAfter: 5 });
  const calls = w.slack.calls.length;
  await w.decide(await w.open(), 'reject', { comment: 'hm' }); // its question goes to the other channel
  const question = await w.open('question');
  assert.ok(await w.card(question, 'C0RANDOM'));
  assert.ok(Date.now() - begin < 10000 && w.slack.calls.length > calls);
  assert.ok(thread.id);
});

story(test, 'Slack fails with 500 and hangs: the card comes in the end, once', { configure: direct, timeout: 60000 }, async (w) => {
  w.slack.fail('chat.postMessage', { status: 500, body: '<html>oops</html>' });
  const { thread, request } = await propose(w);
  await until(async () => (await w.eventsOf(thread.id, 'delivery_sent')).length > 0, 'the delivery');
  assert.equal(w.slack.ours(DEPLOYS).filter((m) => w.slack.words(m).includes(`Request ${request.code}`)).length, 1);
});

// ---- control ------------------------------------------------------------------------------------

story(test, 'Pause stops everything durably: votes are taken, nothing starts until resume', { configure: direct }, async (w) => {
  const { request, message } = await propose(w);
  const paused = await w.cli(['pause', 'all'], w.remote(w.key.admin));
  assert.equal(paused.code, 0, paused.stderr);
  await w.slack.click({ user: ALICE, message, what: 'Approve' });
  await until(async () => (await w.get(`/v1/requests/${request.id}`)).status === 'approved', 'the vote to count');
  await w.stop();
  await w.start();
  await sleep(700);
  assert.equal(w.holds('production', 'backend'), null, 'nothing started, restart or not');
  const resumed = await w.cli(['resume', 'all'], w.remote(w.key.admin));
  assert.equal(resumed.code, 0, resumed.stderr);
  await until(() => w.holds('production', 'backend') === w.v1, 'the call to run');
});

story(test, 'One thread is paused, resumed, and another one cancelled: its card says so', { configure: direct }, async (w) => {
  const { thread, request, message } = await propose(w);
  assert.equal((await w.call('POST', `/v1/threads/${thread.id}/pause`, {})).body.status, 'paused');
  await w.decide(request, 'approve');
  await sleep(400);
  assert.equal(w.holds('production', 'backend'), null);
  await w.call('POST', `/v1/threads/${thread.id}/resume`, {});
  await until(() => w.holds('production', 'backend') === w.v1, 'the call to run');
  await w.ended(thread);
  const other = await propose(w, { component: 'frontend' });
  const cancelled = await w.call('POST', `/v1/threads/${other.thread.id}/cancel`, {});
  assert.equal(cancelled.body.status, 'cancelled');
  await until(() => w.slack.buttons(other.message).length === 0, 'the card to lose its buttons');
  assert.equal((await w.decide(other.request, 'approve')).status, 409);
  assert.equal(w.holds('production', 'frontend'), null);
  assert.ok(message);
});

story(test, 'A cancelled deployment is killed and recorded as killed, and the environment is given back', { configure: direct }, async (w) => {
  w.file('deploy.sh', `#!/bin/sh\necho begun\ntouch ${w.dir}/begun\nexec sleep 60\n`, 0o755);
  const { thread } = await propose(w);
  await w.approve('deploy_backend');
  await until(() => existsSync(join(w.dir, 'begun')), 'the command to begin');
  await w.call('POST', `/v1/threads/${thread.id}/cancel`, {});
  const finished = await until(async () => (await w.eventsOf(thread.id, 'tool_finished')).find((e) => e.data.tool === 'deploy_backend'), 'the end of the command');
  assert.equal(finished.data.outcome, 'killed');
  const production = await until(async () => {
    const p = (await w.get('/v1/environments')).environments.find((e) => e.name === 'production');
    return p.held_by === null && p;
  }, 'production to be free');
  assert.equal(production.components.find((c) => c.component === 'backend').state, 'unknown');
});

story(test, 'A dry run says what it would run, and runs nothing', { configure: direct, args: ['--dry-run'] }, async (w) => {
  const { thread } = await propose(w);
  await w.approve('deploy_backend');
  const finished = await until(async () => (await w.eventsOf(thread.id, 'tool_finished')).find((e) => e.data.tool === 'deploy_backend'), 'the end');
  assert.deepEqual(finished.data.result.argv, ['./deploy.sh', 'backend', 'production', w.v1]);
  assert.equal(w.holds('production', 'backend'), null);
  await w.ended({ id: finished.data.thread ?? thread.id, title: 'the thread' });
  // A pipeline's own deployments are not run either, and nothing counts as passed.
  await w.github.merge({ number: 1, title: 'Dry', sha: w.v1 });
  await w.approve('deploy_frontend');
  await w.approve('deploy_backend');
  const run = await w.ended(await w.run(1));
  assert.equal(run.outcome, 'done');
  const stages = await w.eventsOf(run.id, 'stage_finished');
  assert.deepEqual(stages[0].data.argv, ['./deploy.sh', 'all', 'staging', w.v1]);
  assert.equal(w.holds('staging', 'backend'), null);
  assert.deepEqual(await w.rows('SELECT * FROM passed UNION ALL SELECT environment, sha, thread, at_ms FROM components'), []);
});

// ---- crashes ------------------------------------------------------------------------------------

story(test, 'Killed while a command runs: it goes on, ends once with its real result, and so does the story', { configure: direct }, async (w) => {
  const real = readFileSync(join(w.dir, 'deploy.sh'), 'utf8');
  w.file('deploy-real.sh', real, 0o755);
  w.file('deploy.sh', '#!/bin/sh\nhere=$(dirname "$0")\necho run >>"$here/runs"\nwhile [ ! -e "$here/go" ]; do sleep 0.05; done\nexec "$here/deploy-real.sh" "$@"\n', 0o755);
  const { thread } = await propose(w);
  await w.approve('deploy_backend');
  await until(() => existsSync(join(w.dir, 'runs')), 'the command to begin');
  await w.kill();
  w.file('go', '');
  await until(() => w.holds('production', 'backend') === w.v1, 'the command to end without the gateway');
  await w.start();
  const end = await w.ended(thread);
  assert.equal(end.status, 'done');
  const finished = (await w.eventsOf(thread.id, 'tool_finished')).filter((e) => e.data.tool === 'deploy_backend');
  assert.equal(finished.length, 1);
  assert.deepEqual([finished[0].data.outcome, finished[0].data.result.exit], ['ok', 0]);
  assert.match(finished[0].data.result.output, new RegExp(`backend in production is now ${w.v1}`));
  assert.equal(readFileSync(join(w.dir, 'runs'), 'utf8'), 'run\n', 'it ran once');
  await w.auditIsWhole();
});

story(test, 'Killed while a command runs, and back before it ends: the gateway waits for it', { configure: direct }, async (w) => {
  w.file('deploy.sh', '#!/bin/sh\nhere=$(dirname "$0")\necho run >>"$here/runs"\nwhile [ ! -e "$here/go" ]; do sleep 0.05; done\necho late but here\nexit 3\n', 0o755);
  const { thread } = await propose(w);
  await w.approve('deploy_backend');
  await until(() => existsSync(join(w.dir, 'runs')), 'the command to begin');
  await w.kill();
  await w.start();
  await sleep(500);
  assert.equal((await w.eventsOf(thread.id, 'tool_finished')).filter((e) => e.data.tool === 'deploy_backend').length, 0);
  w.file('go', '');
  const finished = await until(async () => (await w.eventsOf(thread.id, 'tool_finished')).find((e) => e.data.tool === 'deploy_backend'), 'the end');
  assert.deepEqual([finished.data.outcome, finished.data.result.exit], ['failed', 3]);
  assert.equal(readFileSync(join(w.dir, 'runs'), 'utf8'), 'run\n');
});

story(test, 'Stopped politely while a command runs: it is left running, and found again', { configure: direct }, async (w) => {
  w.file('deploy.sh', '#!/bin/sh\nhere=$(dirname "$0")\necho run >>"$here/runs"\nwhile [ ! -e "$here/go" ]; do sleep 0.05; done\necho done\n', 0o755);
  const { thread } = await propose(w);
  await w.approve('deploy_backend');
  await until(() => existsSync(join(w.dir, 'runs')), 'the command to begin');
  await w.stop();
  w.file('go', '');
  await w.start();
  assert.equal((await w.ended(thread)).status, 'done');
  assert.equal(readFileSync(join(w.dir, 'runs'), 'utf8'), 'run\n');
});

story(test, 'Killed with an open approval: the old card still decides after the restart', { configure: direct }, async (w) => {
  const { thread, message } = await propose(w);
  await w.kill();
  await w.start();
  await w.slack.click({ user: ALICE, message, what: 'Approve' });
  await until(() => w.slack.buttons(message).length === 0, 'the card to be edited');
  await until(() => w.holds('production', 'backend') === w.v1, 'the deployment');
  assert.equal((await w.ended(thread)).status, 'done');
  assert.equal(w.slack.ours(DEPLOYS).filter((m) => /proposes deploy_backend/.test(m.text)).length, 1, 'no second card');
});

story(test, 'Killed just after the acknowledgement: what was acknowledged is worked on', {}, async (w) => {
  const merged = await w.github.merge({ number: 5, title: 'Acknowledged', sha: w.v1 });
  assert.ok(merged.status < 300);
  await w.kill();
  assert.ok((await w.github.redeliver(merged).catch(() => ({ status: 0 }))).status === 0);
  await w.start();
  const run = await w.run(1);
  assert.equal(run.title, '#5 Acknowledged');
  await w.github.redeliver(merged);
  await sleep(300);
  assert.equal((await w.threads()).filter((t) => t.pipeline).length, 1);
});

story(test, 'Merges that GitHub could not deliver while we were down are found at start, with who merged them', {}, async (w) => {
  await w.stop();
  const sha = await w.goodCommit();
  await w.github.merge({ number: 61, title: 'While you slept', sha }, { send: false });
  await w.start();
  const run = await w.run(1);
  assert.equal(run.title, '#61 While you slept');
  assert.equal(run.requester, 'person:bob', 'who merged it cannot sign it off, so it must be known');
  const payload = await w.github.merge({ number: 61, title: 'While you slept', sha }, { send: false });
  await w.github.deliver(payload); // and now the delivery comes after all
  await sleep(300);
  assert.equal((await w.threads()).filter((t) => t.pipeline).length, 1);
});

// ---- models ---------------------------------------------------------------------------------------

story(test, 'A model that answers garbage is told so, and after three times a person is asked', { configure: direct, model: (r) => ({ text: ['Certainly! I will deploy it.', '{"step":{"intent":"fly"}}', '[1,2]'][r.number % 3] }) }, async (w) => {
  const answer = await w.call('POST', '/v1/threads', { agent: 'deploybot', message: 'deploy the backend' }, w.key.bob);
  const question = await w.open('question');
  assert.equal(w.model.calls.length, 3);
  const refused = await w.eventsOf(answer.body.id, 'step_refused');
  assert.equal(refused.length, 3);
  assert.match(w.model.calls[1].request.user, /<step_refused>/, 'the model reads what was wrong');
  assert.ok(refused.every((e) => JSON.stringify(e.data).length < 600), 'in one compact sentence');
  assert.ok(question.question.length > 10);
  assert.equal(w.holds('production', 'backend'), null);
});

story(test, 'A model that refuses, is cut off or calls several tools never acts', { configure: direct, model: (r) => [{ length: '{"step":{"intent":"deploy_backend","sha":"' }, { calls: [{ name: 'deploy_backend', arguments: {} }, { name: 'deploy_frontend', arguments: {} }] }, { text: 'x'.repeat(200000) }][Math.min(r.number - 1, 2)] }, async (w) => {
  await w.call('POST', '/v1/threads', { agent: 'deploybot', message: 'deploy the backend' }, w.key.bob);
  w.expectedDifferences = /too long to be kept whole/;
  await w.open('question');
  assert.equal((await w.requests()).filter((r) => r.kind === 'approval').length, 0);
});

story(test, 'A model that is down: it is asked again, then the playbook decides', { configure: (c) => { direct(c); c.llm.fallback = { provider: 'playbook' }; }, model: () => ({ intent: 'nothing_to_do', reason: 'never asked' }) }, async (w) => {
  w.model.fail(/completions/, { status: 503, headers: { 'retry-after-ms': '20' } }, 100);
  const { thread } = await propose(w);
  assert.equal(w.model.calls.length, 5, 'five attempts of one call');
  const asked = await w.eventsOf(thread.id, 'model_asked');
  assert.equal(asked.length, 1, 'which count as one step');
  const answered = await w.eventsOf(thread.id, 'model_answered');
  assert.equal(answered[0].data.model, 'playbook');
});

story(test, 'A model that says 429 once is asked again as it wishes', { configure: direct, model: (r) => (/deploy_backend_result/.test(r.user) ? { intent: 'done_for_now', message: 'Done.' } : { intent: 'deploy_backend', sha: /at ([0-9a-f]{40})/.exec(r.user)[1] }) }, async (w) => {
  w.model.fail(/completions/, { status: 429, headers: { 'retry-after-ms': '300' } });
  w.model.fail(/completions/, { cut: 'before' });
  const { thread } = await propose(w);
  assert.equal(w.model.calls.length, 3);
  assert.equal((await w.thread(thread.id)).steps, 1);
});

story(test, 'Words that come while the model thinks make its answer stale: it is asked again with them', { configure: direct, model: (r) => ({ intent: 'done_for_now', message: /wait, the frontend/.test(r.user) ? 'The frontend it is.' : 'The backend it is.' }) }, async (w) => {
  w.model.fail(/completions/, { late: 1000 });
  const message = await w.slack.say({ user: BOB, channel: DEPLOYS, text: 'deploy the backend', mention: true });
  await until(() => w.model.calls.length === 1, 'the first call');
  await w.slack.say({ user: BOB, channel: DEPLOYS, text: 'wait, the frontend', thread_ts: message.ts });
  await until(() => w.slack.ours(DEPLOYS).some((m) => w.slack.words(m).includes('The frontend it is.')), 'the answer to both');
  assert.ok(!w.slack.ours(DEPLOYS).some((m) => w.slack.words(m).includes('The backend it is.')), 'the first answer was dropped');
  const [thread] = await w.threads();
  assert.deepEqual((await w.eventsOf(thread.id, 'model_answered')).map((e) => e.data.stale ?? false), [true, false]);
});

story(test, 'A limit of three steps: the model is asked three times, then a person', { configure: (c) => { direct(c); c.agents.deploybot.limits = { steps: 3 }; }, model: () => ({ intent: 'list_git_commits', limit: 5 }) }, async (w) => {
  const answer = await w.call('POST', '/v1/threads', { agent: 'deploybot', message: 'go on for ever' }, w.key.bob);
  const question = await w.open('question');
  assert.equal(w.model.calls.length, 3);
  assert.equal((await w.eventsOf(answer.body.id, 'limit_reached')).length, 1);
  assert.match(JSON.stringify(question), /step/i);
  await sleep(500);
  assert.equal(w.model.calls.length, 3, 'and no more while nobody says so');
});

// ---- the audit --------------------------------------------------------------------------------------

story(test, 'What is changed, removed or cut in the log is found and named', { configure: direct }, async (w) => {
  const { thread, request } = await propose(w);
  await w.decide(request, 'approve');
  await w.ended(thread);
  await w.stop();
  await w.auditIsWhole();
  const keep = join(w.dir, 'signoff.db');
  const original = readFileSync(keep);
  const damages = [
    ['a changed word', "UPDATE events SET data = replace(data, 'person:alice', 'person:bob'), actor = replace(actor, 'alice', 'bob') WHERE type = 'vote'"],
    ['a removed event', "DELETE FROM events WHERE type = 'vote'"],
    ['a cut tail', `DELETE FROM events WHERE thread = '${thread.id}' AND seq > 5`],
    ['a missing thread', `DELETE FROM events WHERE thread = '${thread.id}'; DELETE FROM threads WHERE id = '${thread.id}'`],
    ['another time', "UPDATE events SET at_ms = at_ms + 1 WHERE type = 'vote'"],
  ];
  for (const [name, sql] of damages) {
    await w.sql(sql);
    const found = await w.cli(['audit', 'verify']);
    assert.equal(found.code, 1, `${name}: ${found.stdout}${found.stderr}`);
    assert.ok((found.stdout + found.stderr).includes(thread.id), `${name} names the thread: ${found.stdout}${found.stderr}`);
    await w.sql('PRAGMA wal_checkpoint(TRUNCATE)');
    w.file('signoff.db', original, 0o600);
  }
  await w.auditIsWhole();
});
