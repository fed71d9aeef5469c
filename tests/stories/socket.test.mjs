// Slack's Socket Mode and all that can happen to its connections: nothing is lost, nothing is done
// twice, and what a human must do is said.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { Slack } from '../standins/slack.mjs';
import { ALICE, BOB, DEPLOYS, EVE, sleep, story, until } from './lib.mjs';

const idle = (c) => {
  c.agents.deploybot.playbook = 'idle.yaml';
  c.agents.deploybot.tools = [];
  c.agents.deploybot.prefetch = [];
};
const quiet = { socket: true, configure: (c, w) => { w.file('idle.yaml', 'rules:\n  - {name: nothing, do: {intent: nothing_to_do, reason: story}}\n'); idle(c); } };

const socketState = async (w, name = 'ops-slack') => (await (await fetch(`${w.url}/readyz`)).json()).channels.find((c) => c.name === name)?.socket;
const connected = (w, name) => until(async () => await socketState(w, name) === 'connected', 'the socket to be connected');
const mention = (w, text) => w.slack.say({ user: BOB, channel: DEPLOYS, mention: true, text });
const counts = async (w) => Object.fromEntries([...(await (await fetch(`${w.url}/metrics`)).text()).matchAll(/^signoff_(\w+) (\d+)$/gm)].map(([, k, v]) => [k, Number(v)]));

// Every mention made one thread, whatever happened to its envelope.
async function oneThreadEach(w, n) {
  await until(async () => (await w.threads()).length >= n && (await w.rows('SELECT COUNT(*) n FROM arrivals'))[0].n === 0, `${n} threads`);
  await sleep(200);
  assert.equal((await w.threads()).length, n, 'each mention made one thread');
  assert.equal((await w.rows("SELECT COUNT(*) n FROM events WHERE type = 'slack_message'"))[0].n, n, 'each event is stored once');
}

// A question with a yes: a click at hand for each misfortune.
async function ask(w) {
  const { body, status, text } = await w.call('POST', '/v1/requests', { kind: 'question', question: { question: 'Now?', options: { format: 'yes_no' } }, contact: { channel: 'ops-slack', to: DEPLOYS } });
  assert.equal(status, 201, text);
  return { request: body, message: await w.card(body) };
}

const misfortunes = [
  ...['warning', 'refresh_requested', 'some_new_reason', undefined].flatMap((reason) => ['before', 'sent', 'acked'].map((when) => ({ disconnect: reason ?? 'refresh_requested', when, unsaid: reason === undefined }))),
  { cut: 'before' }, { cut: 'sent' }, { cut: 'after' }, { lost: true }, { duplicate: true }, { slow: 300 }, { later: true },
];
const nameOf = (m) => JSON.stringify(m).replace(/["{}]/g, '');

story(test, 'A disconnect, a cut, a lost acknowledgement, a double at each moment of an event: each is stored once', { ...quiet, timeout: 180000 }, async (w) => {
  let n = 0;
  await connected(w);
  for (const how of misfortunes) {
    w.slack.socket.fail('events_api', how);
    await mention(w, `hello ${++n}: ${nameOf(how)}`);
    if (how.later) await mention(w, `and ${++n}`);
    await connected(w);
  }
  await oneThreadEach(w, n);
  assert.ok(w.slack.socket.opened > 10, `${w.slack.socket.opened} connections`);
  assert.equal(w.slack.socket.opened, w.slack.socket.asked, 'each address was used once');
  const c = await counts(w);
  assert.ok(c.sockets_lost_total > 5 && c.socket_envelopes_total >= n * 2 && c.socket_acks_total >= n * 2, JSON.stringify(c));
  assert.equal(c.sockets_connected, 1);
});

story(test, 'The same at each moment of a click and of a form: each decision counts once and is answered', { ...quiet, timeout: 240000 }, async (w) => {
  w.expectedComplaints = /the person sees an error|already|exchanged_trigger_id|expired_trigger_id/;
  await connected(w);
  for (const how of misfortunes.filter((m) => !m.later)) {
    const { request, message } = await ask(w);
    w.slack.socket.fail('interactive', how);
    await w.slack.click({ user: ALICE, message, what: 'Yes' }).catch(() => w.slack.click({ user: ALICE, message, what: w.slack.buttons(message)[0] }));
    await until(async () => (await w.get(`/v1/requests/${request.id}`)).status === 'answered', `the click with ${nameOf(how)}`);
    await until(() => w.slack.buttons(message).length === 0, 'the buttons to go');
    assert.equal((await w.rows(`SELECT COUNT(*) n FROM events WHERE type = 'request_decided' AND data LIKE '%${request.id}%'`))[0].n, 1, 'one decision');
    await connected(w);
  }
});

story(test, 'The old connection is read to its end while the new one is opened: no event waits for it', { ...quiet, timeout: 90000 }, async (w) => {
  await connected(w);
  w.slack.socket.leaveMs = 1500;
  const old = w.slack.socket.disconnect('warning');
  await until(() => w.slack.socket.live.length === 2, 'two connections at a time');
  assert.ok(w.slack.socket.live.includes(old) && old.peer.open);
  // What Slack still gives to the old one is taken and acknowledged there.
  old.leaving = false;
  w.slack.socket.live.forEach((c) => { c.leaving = c !== old; });
  await mention(w, 'over the old one');
  assert.ok(old.acked.size >= 2, 'acknowledged on the connection that brought it');
  await until(() => !old.peer.open, 'the old one to end');
  w.slack.socket.live.forEach((c) => { c.leaving = false; });
  await mention(w, 'over the new one');
  await oneThreadEach(w, 2);
  assert.equal(w.slack.socket.resent, 0, 'nothing had to be sent twice');
  assert.equal(w.slack.socket.opened, 2);
});

story(test, 'A handshake that goes wrong, a hello that does not come: the next address is tried', { ...quiet, timeout: 90000, configure: (c, w) => {
  quiet.configure(c, w);
  for (const how of [{ status: 503 }, { proof: 'another word' }]) w.slack.socket.fail('upgrade', how);
  for (const how of [{ cut: true }, { disconnect: 'refresh_requested' }]) w.slack.socket.fail('hello', how);
} }, async (w) => {
  await until(async () => await socketState(w) === 'connected', 'the socket', 60000);
  await mention(w, 'at last');
  await oneThreadEach(w, 1);
  assert.equal(w.slack.socket.asked, 5, 'an address for each try');
  assert.match(w.log(), /upgrade response not 101[\s\S]*Accept hash wrong/);
});

story(test, 'Slack fails when it is asked for an address: it is tried again, and not in a hurry', { ...quiet, timeout: 90000, configure: (c, w) => {
  quiet.configure(c, w);
  w.slack.fail('apps.connections.open', { status: 500, body: '<html>oops</html>' });
  w.slack.fail('apps.connections.open', { cut: 'before' });
  w.slack.fail('apps.connections.open', { cut: 'after' }); // a ticket that nobody uses
  w.slack.fail('apps.connections.open', { status: 429, retryAfter: 2 });
} }, async (w) => {
  await until(async () => await socketState(w) === 'connected', 'the socket', 60000);
  await mention(w, 'at last');
  await oneThreadEach(w, 1);
  const calls = w.slack.callsOf('apps.connections.open');
  const limited = calls.findIndex((c) => c.answer?.status === 429);
  assert.ok(calls[limited + 1].at - calls[limited].at >= 1950, 'it waited as told');
  assert.equal(calls.length, 5, `${calls.length} calls`);
  assert.ok(calls.every((c) => c.headers.authorization === `Bearer ${w.slack.socket.token}` && !c.body.includes('xapp')), 'the token is in the header only');
  assert.match(w.log(), /event=slack.socket_delayed .*429|event=slack.socket_delayed .*slow down/);
  assert.doesNotMatch(w.log(), /ticket=/, 'no address is in the log');
});

story(test, 'Socket Mode is switched off: it stops, says what to do, and begins again when a reload gives it another token', { ...quiet, timeout: 90000, configure: (c, w) => {
  quiet.configure(c, w);
  w.file('app.token', 'xapp-wrong\n');
  c.channels['ops-slack'].app_token = 'file:app.token';
} }, async (w) => {
  w.expectedComplaints = /invalid_auth|socket_mode_not_enabled/;
  await until(async () => await socketState(w) === 'refused', 'the wrong token to be refused');
  assert.match(w.log(), /level=error event=slack.socket_refused channel=ops-slack why="Slack: app_token is not valid/);
  const tries = w.slack.callsOf('apps.connections.open').length;
  writeFileSync(join(w.dir, 'app.token'), w.slack.socket.token);
  w.process.kill('SIGHUP');
  await connected(w);
  assert.equal(w.slack.callsOf('apps.connections.open').length, tries + 1);
  w.slack.socket.enabled = false;
  w.slack.socket.disconnect('link_disabled');
  await until(async () => await socketState(w) === 'refused', 'it to stop');
  assert.match(w.log(), /Socket Mode was switched off; switch it on/);
  await sleep(1500);
  assert.equal(w.slack.callsOf('apps.connections.open').length, tries + 1, 'it does not ask over and over');
  assert.equal((await fetch(`${w.url}/readyz`)).status, 200, 'the rest of the gateway is ready');
  // The same settings stand as they are; the channel that is taken away ends.
  w.slack.socket.enabled = true;
  delete w.config.channels['ops-slack'].app_token;
  w.config.channels['ops-slack'].app_token = '${SLACK_APP_TOKEN}';
  w.file('app.token', 'x');
  w.writeConfig();
  w.process.kill('SIGHUP');
  await until(() => /config.reloaded[\s\S]*config.reloaded/.test(w.log()), 'the reload');
  assert.equal(await socketState(w), 'refused', 'an equal token is no new one');
});

story(test, 'Each Slack channel has a socket of its own; one that is added by a reload is connected, one that is taken away ends', { ...quiet, timeout: 90000 }, async (w) => {
  const other = await new Slack({ overSocket: true }).start();
  try {
    other.addChannel('C0OTHER');
    await connected(w);
    Object.assign(w.config.channels, { second: { type: 'slack', mode: 'socket', bot_token: other.token, app_token: other.socket.token, api_base: other.apiBase } });
    w.config.routes.push({ from: 'second', when: 'mention', agent: 'deploybot' });
    w.writeConfig();
    w.process.kill('SIGHUP');
    await connected(w, 'second');
    assert.equal(w.slack.socket.opened, 1, 'the first one stands');
    await other.say({ user: BOB, channel: 'C0OTHER', mention: true, text: 'from the other workspace' });
    await mention(w, 'from the first');
    await oneThreadEach(w, 2);
    assert.deepEqual((await w.rows("SELECT channel FROM threads ORDER BY 1")).map((r) => r.channel), ['ops-slack', 'second']);
    delete w.config.channels.second;
    w.config.routes.pop();
    w.writeConfig();
    w.process.kill('SIGHUP');
    await until(() => other.socket.connections.length === 0, 'its connection to end');
    assert.equal(await socketState(w), 'connected');
    assert.deepEqual(other.complaints, []);
  } finally {
    await other.close();
  }
});

story(test, 'A store that cannot commit: no acknowledgement, and the event is taken when it is sent again', { ...quiet, timeout: 90000 }, async (w) => {
  await connected(w);
  w.slack.socket.ackMs = 1500;
  // The work of a letter goes well, its commit does not: the file must not grow (RLIMIT_FSIZE).
  const limit = (bytes) => execFileSync('prlimit', ['--pid', String(w.process.pid), `--fsize=${bytes}:unlimited`]);
  limit(statSync(join(w.dir, 'signoff.db-wal')).size);
  const acks = w.slack.socket.acks;
  const said = mention(w, `while the store is full ${'x'.repeat(3000)}`);
  try {
    await until(() => /commit.failed/.test(w.log()), 'a commit to fail');
    await sleep(100);
    assert.equal(w.slack.socket.acks, acks, 'nothing is acknowledged that is not durable');
    await until(() => w.slack.socket.resent > 0, 'Slack to send it again');
  } finally {
    limit('unlimited');
  }
  await said;
  await oneThreadEach(w, 1);
  assert.ok(w.slack.socket.acks > acks);
});

story(test, 'Killed while envelopes come: what was not acknowledged comes again, and is stored once', { ...quiet, timeout: 90000 }, async (w) => {
  await connected(w);
  w.slack.socket.resends = 50;
  w.slack.socket.ackMs = 8000; // the program is away for a while
  const said = [];
  for (let i = 0; i < 40; i++) said.push(mention(w, `word ${i}`));
  await until(() => w.slack.socket.acks > 5, 'the first ones');
  await w.kill();
  await w.start();
  await Promise.all(said);
  await oneThreadEach(w, 40);
});

story(test, 'A stop says goodbye, and a server that nobody knows is not spoken to', { ...quiet, timeout: 60000 }, async (w) => {
  await connected(w);
  const [c] = w.slack.socket.live;
  await w.stop();
  assert.equal(c.how, 'closed 1000');
  const asked = w.slack.socket.asked;
  delete w.env.SIGNOFF_CA_FILE; // the system's CAs know nothing of ours
  await w.start();
  await until(() => w.slack.socket.asked > asked + 1, 'it to try twice');
  assert.equal(w.slack.socket.opened, 1, 'no handshake without a certificate that is right');
  assert.match(w.log(), /issuer certificate[\s\S]*event=slack.socket_ended .*SSL/);
  assert.notEqual(await socketState(w), 'connected');
});

story(test, 'A proxy of the environment is used for the socket, unless NO_PROXY says otherwise', { ...quiet, start: false, timeout: 60000 }, async (w) => {
  const asked = [];
  const proxy = createServer((req, res) => res.writeHead(500).end());
  proxy.on('connect', (req, socket, head) => {
    asked.push([req.url, req.headers['proxy-authorization']]);
    const [host, port] = req.url.split(':');
    const there = connect(port, host, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      if (head.length) there.write(head);
      there.pipe(socket).pipe(there);
    });
    for (const s of [there, socket]) s.on('error', () => s.destroy());
  });
  await new Promise((ready) => proxy.listen(0, '127.0.0.1', ready));
  proxy.unref();
  try {
    w.env.HTTPS_PROXY = `http://alice:secret@127.0.0.1:${proxy.address().port}`;
    await w.start();
    await connected(w);
    await mention(w, 'through the proxy');
    await oneThreadEach(w, 1);
    asked[0][1] = asked[0][1].replace('basic', 'Basic'); // RFC 7235: either
    assert.deepEqual(asked, [[`127.0.0.1:${w.slack.socket.port}`, `Basic ${Buffer.from('alice:secret').toString('base64')}`]]);
    await w.stop();
    w.env.NO_PROXY = '127.0.0.1,slack.test';
    await w.start();
    await connected(w);
    assert.equal(asked.length, 1);
  } finally {
    proxy.closeAllConnections();
    proxy.close();
  }
});

story(test, 'Somebody else on the same app is noticed: a part of the events goes to them', { ...quiet, start: false, timeout: 60000 }, async (w) => {
  w.slack.socket.others = 2;
  await w.start();
  await connected(w);
  await until(() => /slack.socket_shared .*connections=3/.test(w.log()), 'the warning');
  // With ten of them there is no room: it waits, and comes when there is.
  w.slack.socket.others = 10;
  w.slack.socket.cut();
  await until(() => /too many connections/.test(w.log()), 'the error');
  w.slack.socket.others = 0;
  await until(async () => await socketState(w) === 'connected', 'the socket', 30000);
});

story(test, 'A form that is sent empty gets its error in the acknowledgement, and a stranger is answered as over HTTP', { socket: true, configure: (c) => delete c.environments.production.promote_from }, async (w) => {
  await connected(w);
  await mention(w, `deploy the backend at ${w.v1}`);
  const { message } = await w.openCard('deploy_backend');
  const { payload } = await w.slack.click({ user: ALICE, message, what: 'Reject' });
  const view = await until(() => w.slack.views.find((v) => v.trigger === payload.trigger_id), 'the modal');
  const { closed, errors } = await w.slack.submit(view, { reason: '   ' });
  assert.deepEqual([closed, errors], [false, { reason: 'Please write some words.' }]);
  assert.ok((await w.slack.submit(view, { reason: 'not now' })).closed);
  await w.slack.click({ user: EVE, message: (await w.openCard('question')).message, what: 'stop' });
  await until(() => w.slack.ephemerals.some((e) => e.user === EVE), 'an answer to the stranger');
});

story(test, 'The webhook doors of a channel with a socket are closed', quiet, async (w) => {
  const body = '{"type":"event_callback"}';
  const answer = await w.call('POST', '/slack/events', body, null, w.slack.sign(body));
  assert.equal(answer.status, 401);
});

// Thirty real seconds.
story(test, 'A connection that is dead without saying so is noticed and replaced', { ...quiet, timeout: 120000 }, async (w) => {
  await connected(w);
  w.slack.socket.goSilent();
  const begin = Date.now();
  await until(() => w.slack.socket.opened === 2 && w.slack.socket.live.length === 1, 'a second connection', 45000);
  assert.ok(Date.now() - begin > 25000, 'silence is not taken for death at once');
  await mention(w, 'after the silence');
  await oneThreadEach(w, 1);
});
