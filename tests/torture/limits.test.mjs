// Every bound is reached once: the right refusal, with a sentence and a time to come again, and then
// all is well. What is bounded, and where it is shown:
//   bodies by door, calls by key, failed keys and signatures, wrong codes, sign-in links, streams, files   here
//   places for calls to others, by haste                               one_winner; test_http_client
//   headers, all bodies together, slow bodies, connections, pipelining, slow readers     test_http_server
//   letters in a mailbox                                               test_mailbox; threads/mailbox
//   commands' time and output                                          stories/unknown; test_children
//   steps and errors of an agent                                       stories/promises
import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import { ALICE, sleep, story, until } from '../stories/lib.mjs';
import { atOnce, direct, form, metrics, signIn } from './lib.mjs';

async function isWell(w) {
  const { body, status } = await w.call('POST', '/v1/threads', { agent: 'deploybot', message: `deploy the backend at ${w.v1}` }, w.key.bob);
  assert.equal(status, 201);
  const { request, message } = await w.openCard('deploy_backend');
  assert.equal((await w.slack.click({ user: ALICE, message, what: 'Approve' })).status, 200);
  await until(async () => (await w.get(`/v1/requests/${request.id}`)).status === 'approved', 'the decision');
  await w.ended(body);
}

function refused(answer, status, retry) {
  assert.equal(answer.status, status, answer.text);
  assert.ok(answer.text.length > 15, 'with a sentence');
  if (retry) assert.ok(Number(answer.headers.get('retry-after')) > 0, 'and when to come again');
}

story(test, 'A body over the limit of its door is 413, the same door takes the next one', { configure: direct }, async (w) => {
  for (const [path, limit, type] of [['/slack/events', 1 << 20, 'application/json'], ['/github/webhook', 25 << 20, 'application/json'], ['/v1/threads', 4 << 20, 'application/json'], ['/login/x', 64 << 10, form['Content-Type']]]) {
    const send = async (bytes) => {
      try {
        return await w.call('POST', path, Buffer.alloc(bytes, 'x'), null, { 'Content-Type': type });
      } catch (error) {
        return { error };
      }
    };
    refused(await send(limit + 1), 413);
    assert.notEqual((await send(limit)).status, 413, `${path} takes ${limit} bytes`);
  }
  assert.equal((await metrics(w)).http_body_bytes, 0, 'nothing of it is held');
  await isWell(w);
});

story(test, 'Who cannot sign or has no key is told to wait; what is rightly signed never is', { configure: direct }, async (w) => {
  const before = (await metrics(w)).rate_limited_total;
  const until429 = async (send, most) => {
    for (let i = 0; i < most; i++) {
      const answer = await send();
      if (answer.status === 429) return answer;
      assert.ok([401, 403, 404].includes(answer.status), answer.text);
    }
    throw new Error(`no 429 in ${most} tries`);
  };
  refused(await until429(() => w.call('POST', '/slack/events', '{}', null), 62), 429, true);
  refused(await until429(() => w.call('GET', '/v1/threads', undefined, 'wrong'), 62), 429, true);
  refused(await until429(() => w.call('POST', '/v1/threads', {}, 'wrong'), 62), 429, true);
  refused(await until429(() => w.call('POST', '/login/0123', '', null, form), 22), 429, true);
  refused(await until429(() => w.decide('0000', 'approve', {}, w.key.desk), 1).catch(() => until429(() => w.decide('0000', 'approve', { as: 'alice' }, w.key.desk), 44)), 429, true);
  assert.ok((await metrics(w)).rate_limited_total >= before + 5);
  await isWell(w);
});

story(test, 'A key has so many calls a minute, for acts and for looks; other keys have theirs', { configure: direct, timeout: 240000 }, async (w) => {
  for (const send of [() => w.call('GET', '/v1/environments', undefined, w.key.desk), () => w.call('POST', '/v1/threads', '{', w.key.desk)]) {
    let found = null;
    for (let i = 0; i < 50 && !found; i++) found = (await atOnce(32, Array(300).fill(send))).find((a) => a.status === 429);
    refused(found ?? { status: 'none', text: '' }, 429, true);
  }
  await isWell(w);
});

story(test, 'A stream too many is 503, and there is room when others end', { configure: direct, timeout: 120000 }, async (w) => {
  const { cookie } = await signIn(w, 'alice');
  const open = async () => {
    const end = new AbortController();
    const answer = await fetch(`${w.url}/stream`, { headers: { Cookie: cookie }, signal: end.signal });
    return { answer, end };
  };
  const streams = await atOnce(16, Array(256).fill(open));
  assert.ok(streams.every((s) => s.answer.status === 200), 'as many as there may be');
  const more = await open();
  refused({ status: more.answer.status, text: await more.answer.text(), headers: more.answer.headers }, 503, true);
  await isWell(w);
  for (const s of streams) s.end.abort();
  await until(async () => (await metrics(w)).http_streams === 0, 'the streams to end');
  const again = await open();
  assert.equal(again.answer.status, 200);
  again.end.abort();
});

story(test, 'With few files, connections that say nothing do not stop decisions, and leave room when they go', { configure: direct, timeout: 120000, under: ['/bin/sh', '-c', 'ulimit -n 100; exec "$0" "$@"'] }, async (w) => {
  // One connection was there before the others and stays.
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const call = (method, path, body) => new Promise((done, failed) => {
    const sent = request({ agent, method, port: w.port, path, headers: { Authorization: `Bearer ${w.key.bob}` } }, (answer) => answer.resume().on('end', () => done(answer.statusCode)));
    sent.on('error', failed).end(body);
  });
  assert.equal(await call('GET', '/v1/environments'), 200);
  const idle = [];
  for (let i = 0; i < 200; i++) {
    const socket = connect(w.port, '127.0.0.1');
    socket.on('error', () => {});
    idle.push(socket);
  }
  await sleep(500);
  assert.equal(await call('POST', '/v1/threads', JSON.stringify({ agent: 'deploybot', message: `deploy the backend at ${w.v1}` })), 201);
  await until(() => w.slack.ours('C0DEPLOYS').some((m) => /deploy_backend/.test(w.slack.words(m))), 'the card: a call to others has a file');
  for (const socket of idle) socket.destroy();
  agent.destroy();
  await until(async () => (await metrics(w).catch(() => ({}))).http_connections < 20, 'the connections to be gone');
  const { request: open } = await w.approve('deploy_backend');
  await w.ended(await w.thread(open.thread));
  assert.ok(!/disk I\/O|unable to open|store_failed|commit\.failed/.test(w.log()), `the store had its files all the time`);
  await isWell(w);
});
