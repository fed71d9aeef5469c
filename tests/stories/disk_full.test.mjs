// A store that cannot grow: nothing is acknowledged that is not durable, readiness says so, and all
// goes on when there is room again. The disk is filled by the limit on file sizes (RLIMIT_FSIZE).
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const signoff = process.env.SIGNOFF ?? fileURLToPath(new URL('../../build/debug/signoff', import.meta.url));
const secret = 'disk-full-webhook-secret';
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const freePort = () => new Promise((done) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    server.close(() => done(port));
  });
});

const configuration = (port) => `
server: {listen: "127.0.0.1:${port}", public_url: "http://127.0.0.1:${port}"}
store: {url: "sqlite:signoff.db"}
llm: {provider: playbook}
people: [{id: alice, name: Alice, roles: [deployer]}]
sources: {github: {type: github, webhook_secret: ${secret}, repos: [acme/shop]}}
routes: [{from: github, event: pull_request.merged, agent: idle}]
agents: {idle: {prompt: idle.md, playbook: idle.yaml, tools: []}}
`;

function merge(url, number) {
  const body = JSON.stringify({
    action: 'closed',
    pull_request: {
      number, merged: true, title: `merge ${number} ${'x'.repeat(2000)}`, merge_commit_sha: String(number).padStart(40, '0'),
      base: { ref: 'main' }, user: { login: 'dex' }, merged_by: { login: 'dex' }, body: 'y'.repeat(3000),
    },
    repository: { full_name: 'acme/shop' },
  });
  return fetch(`${url}/github/webhook`, {
    method: 'POST',
    body,
    headers: {
      'content-type': 'application/json', 'x-github-event': 'pull_request', 'x-github-delivery': `delivery-${number}`,
      'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
    },
  }).then((answer) => answer.status);
}

test('a full disk is answered with 503, never with a 2xx for what is not stored, and passes', { timeout: 120000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'signoff-full-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  writeFileSync(join(folder, 'signoff.yaml'), configuration(port));
  writeFileSync(join(folder, 'idle.md'), 'You do nothing.\n');
  writeFileSync(join(folder, 'idle.yaml'), 'rules:\n  - {name: nothing, do: {intent: nothing_to_do, reason: test}}\n');
  const server = spawn(signoff, ['serve', '--config', join(folder, 'signoff.yaml')], { stdio: 'ignore' });
  const ready = () => fetch(`${url}/readyz`).then((r) => r.status, () => 0);
  const until = async (what, fact) => {
    for (const end = Date.now() + 30000; !(await fact()); await sleep(50)) assert.ok(Date.now() < end, `never: ${what}`);
  };
  const limit = (bytes) => execFileSync('prlimit', ['--pid', String(server.pid), `--fsize=${bytes}:unlimited`]);
  const query = (sql) => execFileSync('sqlite3', [join(folder, 'signoff.db'), sql]).toString().trim();
  try {
    await until('ready', async () => (await ready()) === 200);
    limit(Math.max(statSync(join(folder, 'signoff.db-wal')).size, statSync(join(folder, 'signoff.db')).size) + 100000);
    const acknowledged = [];
    let refused = null;
    for (let number = 1; refused === null; number += 1) {
      assert.ok(number < 5000, 'the disk was never full');
      const status = await merge(url, number);
      if (status === 503) refused = number;
      else assert.equal(status, 202);
      if (status === 202) acknowledged.push(number);
    }
    assert.ok(acknowledged.length > 0);
    await until('readiness is false', async () => (await ready()) === 503);
    assert.equal((await fetch(`${url}/healthz`)).status, 200);
    assert.equal(query(`select count(*) from seen where key = 'github:delivery:delivery-${refused}'`), '0');

    limit('unlimited');
    await until('ready again', async () => (await ready()) === 200);
    assert.equal(await merge(url, refused), 202, 'what was refused is taken when it comes again');
    acknowledged.push(refused);
    await until('every acknowledged merge has its thread, once', () => query(
      "select count(*) || ' ' || count(distinct title) from threads where status = 'done'") === `${acknowledged.length} ${acknowledged.length}`);
  } finally {
    const ended = new Promise((done) => server.on('exit', done));
    server.kill('SIGTERM');
    await ended;
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
});
