// What may be promoted: a commit for which the stages of an environment passed, at the first try. A
// stage that passed only after on_failure's agent was at work says nothing about the commit itself.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const signoff = process.env.SIGNOFF ?? fileURLToPath(new URL('../../build/debug/signoff', import.meta.url));
const secret = 'promotion-webhook-secret';
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
routes: [{from: github, event: pull_request.merged, pipeline: shop}]
agents: {helper: {prompt: helper.md, playbook: helper.yaml, tools: []}}
environments: {staging: {repo: {path: .}}}
pipelines:
  shop:
    stages:
      - {name: deploy, run: {command: ["true"]}, environment: staging}
      - {name: e2e, run: {command: [./e2e.sh]}, environment: staging, on_failure: {agent: helper}}
`;

function merge(url, number, sha) {
  const body = JSON.stringify({
    action: 'closed',
    pull_request: {
      number, merged: true, title: `merge ${number}`, merge_commit_sha: sha, base: { ref: 'main' },
      user: { login: 'dex' }, merged_by: { login: 'dex' },
    },
    repository: { full_name: 'acme/shop' },
  });
  return fetch(`${url}/github/webhook`, {
    method: 'POST',
    body,
    headers: {
      'content-type': 'application/json', 'x-github-event': 'pull_request', 'x-github-delivery': `promotion-${number}`,
      'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
    },
  }).then((answer) => answer.status);
}

test('a commit that passed staging at the first try may be promoted, one that needed a second may not', { timeout: 60000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'signoff-promotion-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const [flaky, steady] = ['a'.repeat(40), 'b'.repeat(40)];
  writeFileSync(join(folder, 'signoff.yaml'), configuration(port));
  writeFileSync(join(folder, 'helper.md'), 'You do nothing.\n');
  writeFileSync(join(folder, 'helper.yaml'), 'rules:\n  - {name: nothing, do: {intent: nothing_to_do, reason: test}}\n');
  // Fails once, the very first time.
  writeFileSync(join(folder, 'e2e.sh'), '#!/bin/sh\n[ -e tried ] && exit 0\ntouch tried\nexit 1\n', { mode: 0o755 });
  const server = spawn(signoff, ['serve', '--config', join(folder, 'signoff.yaml')], { stdio: 'ignore' });
  const query = (sql) => execFileSync('sqlite3', [join(folder, 'signoff.db'), sql]).toString().trim();
  const ended = async (run) => {
    for (const end = Date.now() + 20000; ; await sleep(50)) {
      const outcome = query(`select outcome from threads where run = ${run} and outcome is not null`);
      if (outcome !== '') return outcome;
      assert.ok(Date.now() < end, `run ${run} did not end`);
    }
  };
  try {
    for (let up = false; !up; await sleep(50)) up = await fetch(`${url}/readyz`).then((r) => r.status === 200, () => false);
    assert.equal(await merge(url, 1, flaky), 202);
    assert.equal(await ended(1), 'passed_on_retry');
    assert.equal(query('select count(*) from passed'), '0');
    assert.equal(await merge(url, 2, steady), 202);
    assert.equal(await ended(2), 'done');
    assert.equal(query('select environment, sha from passed'), `staging|${steady}`);
  } finally {
    const stopped = new Promise((done) => server.on('exit', done));
    server.kill('SIGTERM');
    await stopped;
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
});
