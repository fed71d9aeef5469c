// The public interface: HTTP and the command line, as other people's scripts depend on them.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ALICE, sleep, story, until } from './lib.mjs';

const direct = (config) => delete config.environments.production.promote_from;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const ID = (letter) => new RegExp(`^${letter}_[0-9abcdefghjkmnpqrstvwxyz]{12}$`);

async function isError(answer, status, code) {
  const a = await answer;
  assert.deepEqual([a.status, a.body?.error?.code], [status, code], a.text);
  assert.equal(typeof a.body.error.message, 'string');
  return a;
}

story(test, 'Every object has exactly the members that the interface names', { configure: direct }, async (w) => {
  const launched = await w.call('POST', '/v1/threads', { agent: 'deploybot', message: `deploy the backend at ${w.v1}` }, w.key.bob);
  assert.equal(launched.status, 201);
  assert.match(launched.headers.get('content-type'), /^application\/json/);
  const request = await w.open('deploy_backend');
  const thread = await w.thread(launched.body.id);
  for (const name of ['id', 'agent', 'pipeline', 'parent', 'root', 'status', 'waiting_for', 'title', 'requester', 'created_at', 'updated_at', 'steps', 'tokens', 'cost', 'outcome', 'url']) assert.ok(name in thread, `thread.${name}`);
  assert.match(thread.id, ID('t'));
  assert.deepEqual([thread.agent, thread.pipeline, thread.parent, thread.root, thread.status, thread.requester, thread.outcome], ['deploybot', null, null, thread.id, 'waiting', 'person:bob', null]);
  assert.deepEqual(thread.waiting_for, { kind: 'person', request: request.id });
  assert.match(thread.created_at, TIME);
  assert.equal(thread.url, `${w.url}/threads/${thread.id}`);
  for (const name of ['id', 'code', 'thread', 'kind', 'status', 'tool', 'arguments', 'target', 'question', 'context', 'options', 'policy', 'votes', 'digest', 'raised_at', 'expires_at', 'decided_at', 'decided_by', 'comment', 'answer', 'url']) assert.ok(name in request, `request.${name}`);
  assert.match(request.id, ID('r'));
  assert.match(request.code, /^\d{4}$/);
  assert.match(request.digest, /^[0-9a-f]{64}$/);
  assert.equal(request.url, `${w.url}/requests/${request.id}`);
  const events = await w.events(thread.id);
  for (const e of events) {
    assert.deepEqual(Object.keys(e).sort(), ['actor', 'at_ms', 'data', 'for_agent', 'hash', 'seq', 'type']);
    assert.match(e.hash, /^[0-9a-f]{64}$/);
    assert.match(e.actor, /^(person|slack|github|email|sms|key|agent):.+$|^system$/);
  }
  const decided = await w.decide(request, 'approve', { comment: 'fine' });
  assert.equal(decided.status, 200);
  assert.deepEqual(decided.body.votes.map(({ person, decision, comment }) => ({ person, decision, comment })), [{ person: 'alice', decision: 'approve', comment: 'fine' }]);
  assert.match(decided.body.votes[0].via, /alice-cli/);
  const { environments, next } = await w.get('/v1/environments');
  assert.deepEqual(environments.map((e) => e.name).sort(), ['production', 'staging']);
  assert.equal(next, null);
});

story(test, 'Keys and scopes: who may do what, and what the others hear', { configure: (c) => { direct(c); c.api_keys.push({ name: 'reader', key: 'reader-key-reader-key', scopes: ['threads:read'] }, { name: 'writer', key: 'writer-key-writer-key', scopes: ['threads:write'] }); } }, async (w) => {
  await isError(w.call('GET', '/v1/threads', undefined, null), 401, 'denied');
  await isError(w.call('GET', '/v1/threads', undefined, 'no-such-key'), 401, 'denied');
  await isError(w.call('POST', '/v1/threads', {}, null), 401, 'denied');
  const reader = 'reader-key-reader-key', writer = 'writer-key-writer-key';
  await isError(w.call('POST', '/v1/threads', { agent: 'deploybot', message: 'x' }, reader), 403, 'not_allowed');
  await isError(w.call('GET', '/v1/requests', undefined, reader), 403, 'not_allowed');
  await isError(w.call('GET', '/v1/threads', undefined, writer), 403, 'not_allowed');
  await isError(w.call('POST', '/v1/environments/production/lock', { reason: 'x' }, w.key.alice), 403, 'not_allowed');
  await isError(w.call('POST', '/v1/people/bob/login', {}, w.key.alice), 403, 'not_allowed');
  await isError(w.call('POST', '/v1/people/alice/login', {}, w.key.desk), 403, 'not_allowed'); // `*` is not people:login
  await isError(w.call('POST', '/v1/people/nobody/login', {}), 404, 'not_found');
  const own = await w.call('POST', '/v1/people/alice/login', {}, w.key.alice);
  assert.equal(own.status, 200);
  assert.match(own.body.url, new RegExp(`^${w.url}/login/`));
  const launched = await w.call('POST', '/v1/threads', { agent: 'deploybot', message: `deploy the backend at ${w.v1}` }, writer);
  assert.equal(launched.body.requester, 'key:writer');
  const request = await w.open('deploy_backend');
  const asAlice = await w.decide(request, 'approve', { as: 'alice' }, w.key.desk);
  assert.equal(asAlice.status, 200, asAlice.text);
  assert.deepEqual([asAlice.body.decided_by, asAlice.body.votes[0].via], ['person:alice', 'key desk for alice']);
  await isError(w.decide(request, 'approve', { as: 'mallory' }, w.key.desk), 403, 'not_allowed');
});

story(test, 'What is wrong with a body is said by name; ids that cannot exist are 404', { configure: direct }, async (w) => {
  const post = (path, body) => w.call('POST', path, body);
  const named = async (answer, name) => assert.match((await isError(answer, 400, 'invalid')).body.error.message, new RegExp(name));
  await named(post('/v1/threads', { agent: 'deploybot', message: 'x', colour: 'red' }), 'colour');
  await named(post('/v1/threads', { agent: 'deploybot' }), 'message');
  await named(post('/v1/threads', { message: 'x' }), 'agent');
  await named(post('/v1/threads', { agent: 'nobody', message: 'x' }), 'nobody');
  await named(post('/v1/threads', { agent: 'deploybot', message: 5 }), 'message');
  await named(post('/v1/threads', { agent: 'deploybot', message: 'x', contact: { channel: 'nowhere', to: 'x' } }), 'nowhere');
  await named(post('/v1/threads', '[]'), 'object');
  await isError(post('/v1/threads', '{"agent":'), 400, 'invalid');
  await isError(post('/v1/threads', '{"agent":"deploybot","agent":"deploybot","message":"x"}'), 400, 'invalid');
  await isError(post('/v1/threads', '{"Agent":"deploybot","message":"x"}'), 400, 'invalid');
  const launched = await post('/v1/threads', { agent: 'deploybot', message: 'deploy something', contact: null, idempotency_key: null });
  assert.equal(launched.status, 201, 'a null is an absent member');
  const id = launched.body.id;
  await named(post(`/v1/threads/${id}/events`, { type: 'vote', data: {} }), 'type');
  await named(post(`/v1/threads/${id}/events`, { type: 'api_message', data: 'x' }), 'data');
  await named(post('/v1/environments/production/lock', {}), 'reason');
  for (const path of ['/v1/threads/t_000000000000', '/v1/threads/%00', '/v1/threads/..%2f', '/v1/threads/t_000000000000/events', '/v1/threads/t_000000000000/context', '/v1/requests/r_000000000000', `/v1/requests/${'9'.repeat(60)}`, '/v1/nothing', '/v1/threads/' + 'x'.repeat(2000)])
    await isError(w.call('GET', path), 404, 'not_found');
  await isError(post('/v1/threads/t_000000000000/cancel', {}), 404, 'not_found');
  await isError(post('/v1/environments/nowhere/lock', { reason: 'x' }), 404, 'not_found');
  for (const query of ['limit=0', 'limit=501', 'limit=x', 'cursor=%21%21', 'cursor=AAAA', 'status=happy']) await isError(w.call('GET', `/v1/threads?${query}`), 400, 'invalid');
  for (const method of ['PUT', 'DELETE', 'PATCH']) {
    const answer = await w.call(method, '/v1/threads', {});
    assert.ok([404, 405, 501].includes(answer.status), `${method}: ${answer.status}`);
  }
});

story(test, 'Lists are newest first, in pages without gaps or repeats; events oldest first', {}, async (w) => {
  const ids = [];
  for (let i = 0; i < 7; i++) ids.push((await w.call('POST', '/v1/threads', { agent: 'rollback', message: `look at number ${i}` })).body.id);
  const seen = [];
  for (let cursor = ''; ;) {
    const page = await w.get(`/v1/threads?limit=2${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    assert.ok(page.threads.length <= 2);
    seen.push(...page.threads.map((t) => t.id));
    if (page.next === null) break;
    cursor = page.next;
  }
  assert.deepEqual(seen, ids.toReversed?.() ?? [...ids].reverse());
  assert.equal((await w.get('/v1/threads?agent=rollback')).threads.length, 7);
  assert.equal((await w.get('/v1/threads?agent=deploybot')).threads.length, 0);
  await until(async () => (await w.requests('open')).length === 7, 'a question of each');
  const requests = await w.get('/v1/requests?status=open&limit=5');
  assert.equal(requests.requests.length, 5);
  assert.equal((await w.get(`/v1/requests?status=open&limit=5&cursor=${encodeURIComponent(requests.next)}`)).requests.length, 2);
  const all = await w.events(ids[0]);
  const first = await w.get(`/v1/threads/${ids[0]}/events?limit=3`);
  assert.deepEqual(first.events.map((e) => e.seq), [1, 2, 3]);
  const rest = await w.get(`/v1/threads/${ids[0]}/events?cursor=${first.next}`);
  assert.deepEqual([...first.events, ...rest.events].map((e) => e.seq), all.map((e) => e.seq));
});

story(test, 'One idempotency key launches one thread, even at once', {}, async (w) => {
  const launch = (idempotency_key) => w.call('POST', '/v1/threads', { agent: 'rollback', message: 'x', idempotency_key });
  const answers = await Promise.all(Array.from({ length: 6 }, () => launch('k1')));
  assert.equal(new Set(answers.map((a) => a.body.id)).size, 1);
  assert.deepEqual(answers.map((a) => a.status).sort(), [200, 200, 200, 200, 200, 201]);
  assert.notEqual((await launch('k2')).body.id, answers[0].body.id);
});

story(test, 'An outside agent asks people by HTTP: a call to be signed off, and a question', {}, async (w) => {
  const ask = (body, key) => w.call('POST', '/v1/requests', body, key);
  const approval = await ask({ kind: 'approval', policy: 'prod-signoff', call: { tool: 'send_invoice', arguments: { amount: 12.5, to: 'acme' } }, state: { step: 3 } });
  assert.equal(approval.status, 201, approval.text);
  assert.deepEqual([approval.body.kind, approval.body.tool, approval.body.arguments, approval.body.status], ['approval', 'send_invoice', { amount: 12.5, to: 'acme' }, 'open']);
  assert.equal((await w.thread(approval.body.thread)).agent, null);
  const message = await w.card(approval.body);
  assert.match(w.slack.words(message), /send_invoice/);
  await w.slack.click({ user: ALICE, message, what: 'Approve' });
  await until(async () => (await w.get(`/v1/requests/${approval.body.id}`)).status === 'approved', 'the sign-off');
  assert.deepEqual((await w.get(`/v1/requests/${approval.body.id}`)).state, { step: 3 });
  const question = await ask({ kind: 'question', question: { question: 'Which one?', options: { format: 'multiple_choice', choices: ['red', 'blue'] } }, contact: { channel: 'ops-slack', to: 'C0RANDOM' } });
  assert.equal(question.status, 201, question.text);
  const card = await w.card(question.body, 'C0RANDOM');
  assert.deepEqual(w.slack.buttons(card), ['red', 'blue']);
  const kept = await ask({ kind: 'question', question: 'And why?', state: ['mine', { n: 1 }] });
  assert.deepEqual((await w.get(`/v1/requests/${kept.body.id}`)).state, ['mine', { n: 1 }]);
  await w.slack.click({ user: ALICE, message: card, what: 'blue' });
  await until(async () => (await w.get(`/v1/requests/${question.body.id}`)).answer === 'blue', 'the answer');
  await isError(ask({ kind: 'approval', policy: 'nobody', call: { tool: 'x' } }), 400, 'invalid');
  await isError(ask({ kind: 'approval' }), 400, 'invalid');
  await isError(ask({ kind: 'question' }), 400, 'invalid');
  // Nobody outside asks in our own name: a yes to this would raise an agent's limit.
  await isError(ask({ kind: 'question', question: { question: 'May it go on?', about: 'limit:steps' } }), 400, 'invalid');
  await isError(ask({ kind: 'question', question: { question: 'Which?', options: { format: 'multiple_choice', choices: ['red', 'red'] } } }), 400, 'invalid');
  // What is kept stands inside what is ours, and must be readable again.
  const nested = (levels) => JSON.parse('['.repeat(levels) + ']'.repeat(levels));
  assert.equal((await ask({ kind: 'question', question: 'How deep?', state: nested(47) })).status, 201);
  await isError(ask({ kind: 'question', question: 'How deep?', state: nested(63) }), 400, 'invalid');
  await isError(ask({ kind: 'approval', policy: 'prod-signoff', call: { tool: 'x' }, state: nested(63) }), 400, 'invalid');
  const withdrawn = await ask({ kind: 'question', question: 'Never mind?' }, w.key.bob);
  assert.equal(withdrawn.status, 403, 'bob-cli has no requests:write');
});

story(test, 'A stream tells what is new, and goes on where the reader left', { configure: direct }, async (w) => {
  const { body: thread } = await w.call('POST', '/v1/threads', { agent: 'deploybot', message: `deploy the backend at ${w.v1}` }, w.key.bob);
  const request = await w.open('deploy_backend');
  const read = async (after, stop) => {
    const control = new AbortController();
    const answer = await fetch(`${w.url}/v1/threads/${thread.id}/stream`, { headers: { Authorization: `Bearer ${w.key.admin}`, ...(after !== undefined && { 'Last-Event-ID': String(after) }) }, signal: control.signal });
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get('content-type'), /^text\/event-stream/);
    let text = '';
    const decoder = new TextDecoder();
    try {
      for await (const part of answer.body) {
        text += decoder.decode(part, { stream: true });
        if (stop(text)) break;
      }
    } finally {
      control.abort();
    }
    return [...text.matchAll(/^id: (\d+)$/gm)].map((m) => Number(m[1]));
  };
  const all = read(0, (text) => /"type":"finished"/.test(text));
  await sleep(200);
  await w.decide(request, 'approve');
  const ids = await all;
  assert.deepEqual(ids, (await w.events(thread.id)).map((e) => e.seq).slice(0, ids.length));
  const tail = await read(ids.at(-1) - 2, (text) => text.includes(`id: ${ids.at(-1)}\n`));
  assert.deepEqual(tail.slice(0, 2), [ids.at(-1) - 1, ids.at(-1)]);
});

story(test, 'Health, readiness and metrics are there for machines', {}, async (w) => {
  assert.equal((await w.call('GET', '/healthz', undefined, null)).status, 200);
  const ready = await w.call('GET', '/readyz', undefined, null);
  assert.equal(ready.status, 200);
  assert.match(ready.text, /ops-slack/);
  const metrics = await w.call('GET', '/metrics', undefined, null);
  assert.equal(metrics.status, 200, 'from loopback without a key');
  assert.match(metrics.headers.get('content-type'), /^text\/plain/);
  for (const line of metrics.text.split('\n').filter((l) => l && !l.startsWith('#'))) assert.match(line, /^[a-z_]+(\{[^}]*\})? [0-9.e+-]+$/);
  for (const path of ['/healthz', '/readyz', '/metrics', '/v1/threads']) assert.equal((await w.call('HEAD', path)).text, '');
});

story(test, 'A message makes a finished thread go on', { configure: direct }, async (w) => {
  const { body: thread } = await w.call('POST', '/v1/threads', { agent: 'deploybot', message: 'stop' }, w.key.bob);
  assert.equal((await w.ended(thread)).status, 'done');
  const more = await w.call('POST', `/v1/threads/${thread.id}/events`, { type: 'api_message', data: { text: `deploy the backend at ${w.v1}` } }, w.key.bob);
  assert.equal(more.status, 200);
  assert.equal((await w.open('deploy_backend')).thread, thread.id);
});

// ---- the command line -------------------------------------------------------------------------------

story(test, 'The command line: exit codes, codes of requests, unique beginnings of ids, --json', { configure: direct }, async (w) => {
  const alice = w.remote(w.key.alice), admin = w.remote(w.key.admin);
  const code = async (args, env) => (await w.cli(args, env)).code;
  assert.equal(await code(['version']), 0);
  assert.equal(await code(['help']), 0);
  assert.equal(await code(['check']), 0);
  for (const wrong of [['nonsense'], ['approve'], ['approve', '1', '2'], ['lock', 'production'], ['threads', '--colour', 'red'], ['reject']]) assert.equal(await code(wrong, alice), 2, wrong.join(' '));
  const { body: thread } = await w.call('POST', '/v1/threads', { agent: 'deploybot', message: `deploy the backend at ${w.v1}` }, w.key.bob);
  const request = await w.open('deploy_backend');
  const list = await w.cli(['threads', '--json'], admin);
  assert.equal(JSON.parse(list.stdout).threads[0].id, thread.id);
  assert.match((await w.cli(['threads'], admin)).stdout, /deploy/);
  const show = await w.cli(['show', thread.id.slice(0, 8)], admin);
  assert.equal(show.code, 0, show.stderr);
  assert.match(show.stdout, new RegExp(request.code));
  assert.equal(await code(['show', 't_000000000000'], admin), 1);
  assert.equal(await code(['approve', '0000'], alice), 1);
  const noWhy = await w.cli(['reject', request.code], alice);
  assert.equal(noWhy.code, 2, 'a rejection wants words');
  const approved = await w.cli(['approve', request.code, '-m', 'go', '--json'], alice);
  assert.equal(approved.code, 0, approved.stderr);
  assert.equal((await w.get(`/v1/requests/${request.id}`)).comment, 'go');
  await w.ended(thread);
  const context = await w.cli(['context', thread.id], {});
  assert.equal(context.stdout.trim(), (await w.get(`/v1/threads/${thread.id}/context`)).text.trim(), 'the store says what the server says');
  const nowhere = await w.cli(['approve', request.code], { SIGNOFF_URL: 'http://127.0.0.1:9', SIGNOFF_API_KEY: 'x' });
  assert.equal(nowhere.code, 1);
  assert.equal(await code(['approve', request.code], { SIGNOFF_URL: w.url, SIGNOFF_API_KEY: 'wrong' }), 1);
  const link = await w.cli(['login', 'alice'], admin);
  assert.match(link.stdout, new RegExp(`${w.url}/login/`));
  const { body: question } = await w.call('POST', '/v1/threads', { agent: 'deploybot', message: 'deploy something' }, w.key.bob);
  const asked = await w.open('question');
  assert.equal(await code(['answer', asked.code, 'nothing'], alice), 0);
  await w.ended(question);
  assert.equal(await code(['lock', 'staging', '-m', 'paint'], admin), 0);
  assert.equal((await w.get('/v1/environments')).environments.find((e) => e.name === 'staging').lock.reason, 'paint');
  assert.equal(await code(['unlock', 'staging'], admin), 0);
  assert.equal(await code(['backup', join(w.dir, 'copy.db')], {}), 0);
  assert.equal(await code(['backup', join(w.dir, 'copy.db')], {}), 1, 'a copy is not overwritten');
});

story(test, '`check` names every problem with its line, in file order, and exits with 2', { start: false }, async (w) => {
  const good = readFileSync(join(w.dir, 'signoff.yaml'), 'utf8');
  const fine = await w.cli(['check']);
  assert.equal(fine.code, 0, fine.stderr);
  assert.equal(fine.stdout.trim().split('\n').length, 1, 'one summary line');
  writeFileSync(join(w.dir, 'signoff.yaml'), good.replace('"level": "debug"', '"level": "loud"').replace('"needs": "prod-signoff"', '"needs": "nobody-knows"').replace('"count": 1', '"count": 5'));
  const bad = await w.cli(['check']);
  assert.equal(bad.code, 2);
  const lines = bad.stderr.trim().split('\n').map((l) => /^(.*signoff\.yaml):(\d+): (\S+): (.+)$/.exec(l));
  assert.ok(lines.every(Boolean), bad.stderr);
  assert.ok(lines.length >= 3, bad.stderr);
  const numbers = lines.map((l) => Number(l[2]));
  assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b));
  const missing = await w.cli(['check'], { SLACK_BOT_TOKEN: undefined });
  assert.equal(missing.code, 2);
  assert.equal((await w.cli(['serve'])).code, 2);
});

story(test, 'SIGHUP reads the configuration again, and keeps the old one if the new one is wrong', { configure: direct }, async (w) => {
  const launch = (agent) => w.call('POST', '/v1/threads', { agent, message: 'x' });
  await isError(launch('second'), 400, 'invalid');
  w.config.agents.second = { ...w.config.agents.rollback };
  w.writeConfig();
  w.process.kill('SIGHUP');
  await until(async () => (await launch('second')).status === 201, 'the new agent');
  const good = readFileSync(join(w.dir, 'signoff.yaml'), 'utf8');
  writeFileSync(join(w.dir, 'signoff.yaml'), good.replace('"needs": "prod-signoff"', '"needs": "nobody-knows"'));
  w.process.kill('SIGHUP');
  await until(() => /reload|kept|configuration/i.test(w.log().split('\n').slice(-6).join('\n')), 'the log to say so');
  assert.equal((await launch('second')).status, 201);
  assert.equal(w.process.exitCode, null);
  w.writeConfig();
});

story(test, 'A second gateway on the same store stops and says why', {}, async (w) => {
  const second = await w.cli(['serve']);
  assert.equal(second.code, 1);
  assert.match(second.stderr, /another signoff is working on/);
  assert.equal((await w.call('GET', '/readyz', undefined, null)).status, 200);
});
