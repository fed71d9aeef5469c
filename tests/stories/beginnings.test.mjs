// What looks takes any unique beginning of an id; what acts wants all of it. The command line looks
// first, so that people may type a beginning there for both.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const signoff = process.env.SIGNOFF ?? fileURLToPath(new URL('../../build/debug/signoff', import.meta.url));
const key = 'beginnings-key-0123456789abcdef012345';
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const freePort = () => new Promise((done) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    server.close(() => done(port));
  });
});

test('a beginning of an id is enough to look, and in a terminal to act, but not for the API to act', { timeout: 60000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'signoff-beginnings-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  writeFileSync(join(folder, 'signoff.yaml'), `
server: {listen: "127.0.0.1:${port}", public_url: "${url}"}
store: {url: "sqlite:signoff.db"}
llm: {provider: playbook}
people: [{id: alice, name: Alice, roles: [deployer]}]
api_keys: [{name: k, key: ${key}, person: alice, scopes: ["*"]}]
`);
  const server = spawn(signoff, ['serve', '--config', join(folder, 'signoff.yaml')], { stdio: 'ignore' });
  const api = (method, path, body) => fetch(url + path, {
    method, headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, body: body && JSON.stringify(body),
  });
  const terminal = (...args) => execFileSync(signoff, args, { env: { ...process.env, SIGNOFF_URL: url, SIGNOFF_API_KEY: key } }).toString();
  try {
    for (let up = false; !up; await sleep(50)) up = await fetch(`${url}/readyz`).then((r) => r.status === 200, () => false);
    const asked = await (await api('POST', '/v1/requests', { kind: 'question', question: 'Shall I?' })).json();
    const thread = asked.thread.slice(0, 4);
    const request = asked.id.slice(0, 4);
    assert.equal((await api('GET', `/v1/threads/${thread}`)).status, 200);
    assert.equal((await api('POST', `/v1/threads/${thread}/cancel`)).status, 404);
    assert.equal((await api('POST', `/v1/requests/${request}/decision`, { decision: 'answer', answer: 'yes' })).status, 404);
    assert.match(terminal('show', thread), /Shall I\?/);
    terminal('answer', request, 'yes');
    assert.equal((await (await api('GET', `/v1/requests/${asked.id}`)).json()).status, 'answered');
    const other = await (await api('POST', '/v1/requests', { kind: 'question', question: 'And this?' })).json();
    terminal('cancel', other.thread.slice(0, 8));
    assert.equal((await (await api('GET', `/v1/threads/${other.thread}`)).json()).status, 'cancelled');
  } finally {
    const ended = new Promise((done) => server.on('exit', done));
    server.kill('SIGTERM');
    await ended;
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
});
