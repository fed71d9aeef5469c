// The stand-in for Socket Mode is as strict as a test needs it: what a client must not do is refused
// or complained of.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, beforeEach, test } from 'node:test';
import { connect } from 'node:tls';
import { Slack } from './slack.mjs';
import { sleep } from './server.mjs';
import { frame } from './websocket.mjs';

let slack, socket;
before(async () => {
  slack = await new Slack({ overSocket: true }).start();
  ({ socket } = slack);
  socket.ackMs = 300;
});
beforeEach(async () => {
  socket.connections.forEach((c) => c.peer.cut());
  slack.complaints.length = 0;
});
after(() => slack.close());

async function open(token = socket.token, method = 'POST') {
  const answer = await fetch(`${slack.apiBase}/apps.connections.open`, { method, headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/x-www-form-urlencoded' } });
  const text = await answer.text();
  return { text, ...JSON.parse(text) };
}

// A client that sends what it is told; `heard` gathers the texts that came.
async function client(url, more = '') {
  const { port, pathname, search } = new URL(url);
  const c = { heard: [], closed: false };
  c.socket = connect({ port, host: '127.0.0.1', ca: readFileSync(socket.caFile), servername: 'localhost' });
  c.socket.on('error', () => {});
  c.socket.on('close', () => { c.closed = true; });
  let bytes = Buffer.alloc(0), open = false;
  c.socket.on('data', (b) => {
    bytes = Buffer.concat([bytes, b]);
    if (!open) {
      const end = bytes.indexOf('\r\n\r\n');
      if (end < 0) return;
      c.head = bytes.subarray(0, end).toString();
      open = true;
      bytes = bytes.subarray(end + 4);
    }
    while (bytes.length >= 2) {
      const length = bytes[1] < 126 ? bytes[1] : bytes.readUInt16BE(2), at = bytes[1] < 126 ? 2 : 4;
      if (bytes.length < at + length) break;
      if ((bytes[0] & 15) === 1) c.heard.push(JSON.parse(bytes.subarray(at, at + length)));
      if ((bytes[0] & 15) === 8) c.goodbye = bytes.readUInt16BE(at);
      bytes = bytes.subarray(at + length);
    }
  });
  c.socket.write(`GET ${pathname}${search} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n${more}\r\n`);
  c.say = (value, opcode = 1, how = { masked: true }) => c.socket.write(frame(opcode, typeof value === 'string' ? value : JSON.stringify(value), how));
  await sleep(80);
  return c;
}

test('an address is for one connection, and the app-level token alone gets one', async () => {
  assert.equal((await open('xapp-other')).error, 'invalid_auth');
  assert.equal((await open(slack.token)).error, 'not_allowed_token_type');
  const { ok, url, text } = await open();
  assert.ok(ok && text.includes('wss:\\/\\/'), text);
  assert.equal((await client(url)).heard[0].type, 'hello');
  assert.match((await client(url)).head, /403/);
  assert.match(slack.complaints[0], /ticket/);
});

for (const [name, send, complaint] of [
  ['a frame that is not masked', (c) => c.say('{}', 1, { masked: false }), /not masked/],
  ['an unknown opcode', (c) => c.say('', 5), /opcode 5/],
  ['a binary message', (c) => c.say('x', 2), /binary/],
  ['an acknowledgement of nothing', (c) => c.say({ envelope_id: 'x' }), /did not bring/],
  ['words', (c) => c.say('hello'), /no acknowledgement/],
])
  test(`${name} is complained of`, async () => {
    const c = await client((await open()).url);
    send(c);
    await sleep(50);
    assert.match(slack.complaints.join('\n'), complaint);
  });

test('an envelope is sent until it is acknowledged, in one frame and where it came from', async () => {
  const [a, b] = [await client((await open()).url), await client((await open()).url)];
  const sent = socket.send('interactive', { x: 1 }, { takesPayload: true });
  await sleep(50);
  const [has, hasNot] = a.heard.length > 1 ? [a, b] : [b, a];
  const { envelope_id, payload } = has.heard[1];
  assert.deepEqual(payload, { x: 1 });
  hasNot.say({ envelope_id });
  has.say({ envelope_id, payload: { long: 'x'.repeat(20480) } });
  const text = JSON.stringify({ envelope_id });
  has.socket.write(Buffer.concat([frame(1, text.slice(0, 5), { masked: true, last: false }), frame(0, text.slice(5), { masked: true })]));
  await sleep(400);
  assert.deepEqual(slack.complaints.map((c) => /did not bring|20,480|pieces/.test(c)), [true, true, true], slack.complaints.join('\n'));
  const copies = [...a.heard, ...b.heard].filter((m) => m.envelope_id === envelope_id);
  assert.ok(copies.length >= 2, 'it was sent again');
  for (const c of [a, b]) if (c.heard.some((m) => m.envelope_id === envelope_id)) c.say({ envelope_id, payload: { y: 2 } });
  assert.deepEqual((await sent).payload, { y: 2 });
});

test('an eleventh connection is refused, and a connection that is wanted back ends', async () => {
  const all = [];
  for (let i = 0; i < 11; i++) all.push(await client((await open()).url));
  assert.equal(all[10].heard[0].reason, 'too_many_websockets');
  assert.equal(all[9].heard[0].num_connections, 10);
  socket.disconnect('warning');
  await sleep(500);
  assert.equal(all.filter((c) => c.heard.some((m) => m.type === 'disconnect' && m.reason === 'warning') && c.goodbye === 1000).length, 1);
});
