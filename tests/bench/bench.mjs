// One table of speed and size, everything on loopback in one run. Ratios count; machines are noisy.
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const [build, tools, secondsText] = process.argv.slice(2);
const signoff = join(build, 'signoff');
const seconds = Number(secondsText ?? 5);
const run = promisify(execFile);
const secret = 'bench-signing-secret';
const key = 'bench-key-0123456789abcdef0123456789abcdef';
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

const freePort = () => new Promise((done) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    server.close(() => done(port));
  });
});

const percentile = (list, p) => list.sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * p))];

const memory = (pid) => {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kb = (name) => Number(status.match(new RegExp(`${name}:\\s+(\\d+)`))[1]);
  return { anon: kb('RssAnon') / 1024, resident: kb('VmRSS') / 1024 };
};

// A Slack that takes every post at once and says when it came.
const posts = [];
const slack = http.createServer((req, res) => {
  let body = '';
  req.on('data', (piece) => { body += piece; });
  req.on('end', () => {
    const at = performance.now();
    const message = body.startsWith('{') ? JSON.parse(body) : {};
    const ts = `1800000000.${String(posts.length).padStart(6, '0')}`;
    posts.push({ at, path: req.url, message, ts });
    res.setHeader('content-type', 'application/json');
    res.end(JSON.stringify({ ok: true, channel: message.channel ?? 'C0BENCH', ts }));
  });
});

const configuration = (port, slackPort) => `
server: {listen: "127.0.0.1:${port}", public_url: "http://127.0.0.1:${port}"}
store: {url: "sqlite:signoff.db"}
log: {level: error}
llm: {provider: playbook}
people: [{id: alice, name: Alice, slack: U0ALICE01, roles: [deployer]}]
channels:
  slack: {type: slack, bot_token: xoxb-bench, signing_secret: ${secret}, api_base: "http://127.0.0.1:${slackPort}/api"}
routes:
  - {from: slack, when: mention, agent: idle}
agents:
  idle: {prompt: idle.md, playbook: idle.yaml, tools: [], limits: {steps: 20}}
  eager: {prompt: idle.md, playbook: eager.yaml, tools: [act], limits: {steps: 1000, errors: 100, tokens: 100000000}, contact: {channel: slack, to: C0BENCH}}
tools:
  act: {description: does nothing, run: {command: ["true"]}, needs: anybody}
policies:
  anybody: {approve: {role: deployer}, ask: [{channel: slack, to: C0BENCH}]}
api_keys: [{name: bench, key: ${key}, person: alice, scopes: ["*"]}]
`;
const idle = 'rules:\n  - {name: nothing, do: {intent: nothing_to_do, reason: bench}}\n';
const eager = 'rules:\n  - {name: again, do: {intent: act}}\n';

async function start(folder, port) {
  const begin = performance.now();
  const child = spawn(signoff, ['serve', '--config', join(folder, 'signoff.yaml')], { stdio: 'inherit' });
  for (;;) {
    try {
      if ((await fetch(`http://127.0.0.1:${port}/readyz`)).status === 200) break;
    } catch { /* not yet */ }
    if (child.exitCode !== null) throw new Error('signoff did not start');
    await sleep(1);
  }
  return { child, ready: performance.now() - begin };
}

async function load(port, connections, signed, rate = 0, time = seconds) {
  const { stdout } = await run(join(tools, 'load'), [port, time, connections, secret, signed, rate].map(String));
  const [reached, p50, p99, errors] = stdout.trim().split(' ').map(Number);
  return { rate: reached, p50: p50 / 1000, p99: p99 / 1000, errors };
}

const api = async (port, method, path, body) => {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, ...(body ? { 'content-type': 'application/json' } : {}) },
    body: body && JSON.stringify(body),
  });
  return answer.json();
};

// Each rejection makes the agent propose again: from our POST to the next card at the stand-in. A new
// thread every few decisions: a step costs in proportion to its own thread's length.
async function decisions(port, threads, rounds) {
  const times = [];
  let seen = posts.length;
  const card = async () => {
    for (let tries = 0; ; tries++) {
      const found = posts.slice(seen).find((p) => p.path.endsWith('postMessage')
        && p.message.blocks?.some((b) => b.type === 'actions'));
      if (found) return found;
      if (tries > 20000) throw new Error('no card came');
      await sleep(0.2);
    }
  };
  for (let i = 0; i < threads * rounds; i++) {
    if (i % rounds === 0) {
      seen = posts.length;
      await api(port, 'POST', '/v1/threads', { agent: 'eager', message: 'begin' });
    }
    const { message } = await card();
    const id = message.blocks.find((b) => b.type === 'actions').elements[0].value;
    seen = posts.length;
    const begin = performance.now();
    await api(port, 'POST', `/v1/requests/${id}/decision`, { decision: 'reject', comment: 'again' });
    times.push((await card()).at - begin);
  }
  return times;
}

// 100,000 events at a steady rate: what the gateway holds in the first and in the last quarter.
async function steady(port, pid) {
  const samples = [];
  const rate = 2000;
  const watch = setInterval(() => samples.push(memory(pid).anon), 500);
  const result = await load(port, 16, 1, rate, 100000 / rate);
  clearInterval(watch);
  const quarter = Math.floor(samples.length / 4);
  return { ...result, first: percentile(samples.slice(quarter, 2 * quarter), 0.5), last: percentile(samples.slice(-quarter), 0.5) };
}

// What a step costs inside the core: [{name, size, us}].
async function steps(threads, lengths) {
  const folder = mkdtempSync(join(tmpdir(), 'signoff-bench-'));
  try {
    await run(join(build, 'fill'), [join(folder, 'signoff.db'), String(threads), '3']);
    const { stdout } = await run(join(build, 'tests/bench/bench_step'), [folder, String(threads), ...lengths.map(String)]);
    return stdout.trim().split('\n').map((line) => {
      const [name, size, us] = line.split(' ');
      return { name, size: Number(size), us: Number(us) };
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const row = (...cells) => console.log(cells.map((c, i) => (i === 0 ? String(c).padEnd(46) : String(c).padStart(12))).join(''));
const ms = (value) => `${value.toFixed(2)} ms`;
const mb = (value) => `${value.toFixed(1)} MB`;

const folder = mkdtempSync(join(tmpdir(), 'signoff-bench-'));
const children = [];
try {
  await new Promise((done) => slack.listen(0, '127.0.0.1', done));
  const port = await freePort();
  writeFileSync(join(folder, 'signoff.yaml'), configuration(port, slack.address().port));
  writeFileSync(join(folder, 'idle.md'), 'You do nothing.\n');
  writeFileSync(join(folder, 'idle.yaml'), idle);
  writeFileSync(join(folder, 'eager.yaml'), eager);

  const starts = [];
  for (let i = 0; i < 5; i++) {
    const { child, ready } = await start(folder, port);
    starts.push(ready);
    child.kill('SIGTERM');
    await new Promise((done) => child.on('exit', done));
  }
  const { child } = await start(folder, port);
  children.push(child);
  await sleep(1000);
  const idleMemory = memory(child.pid);
  const times = await decisions(port, 40, 8);

  const barePort = await freePort();
  const bare = spawn(join(tools, 'bare'), [String(barePort)], { stdio: 'inherit' });
  children.push(bare);
  await sleep(300);

  row('', 'req/s', 'p50', 'p99', 'of bare');
  for (const connections of [1, 32, 256]) {
    const limit = await load(barePort, connections, 0);
    const ours = await load(port, connections, 1);
    if (ours.errors > 0) throw new Error(`${ours.errors} answers were no 200`);
    row(`bare handler, ${connections} connections`, Math.round(limit.rate), ms(limit.p50), ms(limit.p99), '');
    row(`durable Slack events, ${connections} connections`, Math.round(ours.rate), ms(ours.p50), ms(ours.p99), `${Math.round((100 * ours.rate) / limit.rate)} %`);
  }
  row('decision → next card at Slack (upper bound)', '', ms(percentile(times, 0.5)), ms(percentile(times, 0.99)), '');
  row('start → ready (5 starts)', '', ms(percentile(starts, 0.5)), ms(percentile(starts, 0.99)), '');
  const after = memory(child.pid);
  const calm = await steady(port, child.pid);
  row('memory idle: private, resident', mb(idleMemory.anon), mb(idleMemory.resident));
  row('memory after the load: private, resident', mb(after.anon), mb(after.resident));
  row('100,000 events at 2,000/s', Math.round(calm.rate), ms(calm.p50), ms(calm.p99), '');
  row('their memory: second quarter, last quarter', mb(calm.first), mb(calm.last), `${(calm.last / calm.first).toFixed(2)} x`);
  for (const c of children.splice(0)) c.kill('SIGTERM');

  const inside = { 100: await steps(100, [10, 1000, 10000]), 100000: await steps(100000, []), 1000000: await steps(1000000, []) };
  row('', '100', '100,000', '1,000,000', 'threads');
  for (const [name, words] of [['step', 'a step, in the core'], ['webhook', 'a webhook, its thread, its step'], ['decision', 'the same with a card and its decision']]) {
    const us = Object.values(inside).map((list) => list.find((l) => l.name === name).us);
    row(words, ...us.map((n) => `${n} us`), `${(us[2] / us[0]).toFixed(2)} x`);
  }
  const lengths = inside[100].filter((l) => l.name === 'length');
  row('', ...lengths.map((l) => l.size.toLocaleString('en')), 'events');
  row('a step in a thread of so many', ...lengths.map((l) => `${l.us} us`), `${(lengths[2].us / lengths[1].us).toFixed(1)} x`);
} finally {
  for (const child of children) child.kill('SIGTERM');
  slack.close();
  slack.closeAllConnections?.();
  await sleep(500);
  rmSync(folder, { recursive: true, force: true });
}
