// A whole small world for one story: the real program as its own process, a git repository, deploy
// scripts, and stand-ins for Slack, GitHub and the model. Everything is on loopback and in one
// temporary folder; everything ends with the story.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFileSync, closeSync, cpSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { GitHub } from '../standins/github.mjs';
import { Model } from '../standins/model.mjs';
import { sleep } from '../standins/server.mjs';
import { Slack } from '../standins/slack.mjs';

const exec = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));

export const signoff = resolve(process.env.SIGNOFF
  ?? join(root, 'build/debug/signoff'));
export const DEPLOYS = 'C0DEPLOYS';
export const ALICE = 'U0ALICE';
export const BOB = 'U0BOB';
export const CAROL = 'U0CAROL'; // a person without roles
export const EVE = 'U0EVE'; // nobody's identity

export { sleep };

// Polls until check() gives something true, which it returns.
export async function until(check, what, ms = 20000) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited ${ms} ms in vain: ${what}`);
    await sleep(30);
  }
}

export async function freePort() {
  const server = createServer();
  await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
  const { port } = server.address();
  await new Promise((closed) => server.close(closed));
  return port;
}

function baseConfig(world) {
  const staging = { repo: world.options.repo ?? 'acme/shop' };
  const sha = { sha: { type: 'string', pattern: '^[0-9a-f]{40}$', description: 'full commit id' } };
  const write = (component, more, needs) => ({
    description: `Put one commit of the ${component} into production`, args: sha,
    run: { command: ['./deploy.sh', component, 'production', '{{sha}}'], timeout: '1m' },
    target: { environment: 'production', component, ref: 'sha', ...more }, needs,
  });
  return {
    server: { listen: `127.0.0.1:${world.port}`, public_url: world.url, state: './state' },
    store: { url: 'sqlite:signoff.db' },
    log: { level: 'debug' },
    llm: world.model
      ? { provider: 'openai', base_url: world.model.baseUrl, api_key: '${MODEL_KEY}', model: world.model.name, schema_mode: 'openai_strict', timeout: '5s' }
      : { provider: 'playbook' },
    people: [
      { id: 'alice', name: 'Alice Ng', slack: ALICE, github: 'alice-ng', roles: ['deployer', 'lead'] },
      { id: 'bob', name: 'Bob Okoye', slack: BOB, github: 'bobokoye', roles: ['deployer', 'oncall'] },
      { id: 'carol', name: 'Carol Vance', slack: CAROL, roles: [] },
    ],
    channels: {
      'ops-slack': {
        type: 'slack', bot_token: '${SLACK_BOT_TOKEN}', api_base: world.slack.apiBase,
        ...(world.overSocket ? { mode: 'socket', app_token: '${SLACK_APP_TOKEN}' } : { mode: 'http', signing_secret: '${SLACK_SIGNING_SECRET}' }),
      },
      inbox: { type: 'web' },
    },
    sources: { github: { type: 'github', webhook_secret: '${GITHUB_WEBHOOK_SECRET}', token: '${GITHUB_TOKEN}', api_base: world.github.url, repos: ['acme/shop'] } },
    routes: [
      { from: 'ops-slack', when: 'mention', agent: 'deploybot' },
      { from: 'ops-slack', when: 'direct_message', agent: 'deploybot' },
      { from: 'github', event: 'pull_request.merged', repo: 'acme/shop', base: 'main', pipeline: 'shop' },
    ],
    agents: {
      deploybot: {
        prompt: 'prompts/deploybot.md', playbook: 'prompts/deploybot.playbook.yaml',
        tools: ['list_git_commits', 'list_git_tags', 'compare_commits', 'list_deployments', 'deploy_backend', 'deploy_frontend'],
        prefetch: ['list_git_commits', 'list_git_tags', 'list_deployments'], hand_over: ['rollback'],
      },
      rollback: {
        prompt: 'prompts/rollback.md', playbook: 'prompts/rollback.playbook.yaml',
        tools: ['list_deployments', 'compare_commits', 'roll_back_backend', 'roll_back_frontend'], prefetch: ['list_deployments'],
      },
    },
    tools: {
      deploy_backend: write('backend', {}, 'prod-signoff'), deploy_frontend: write('frontend', {}, 'prod-signoff'),
      roll_back_backend: write('backend', { rollback: true }, 'rollback-signoff'), roll_back_frontend: write('frontend', { rollback: true }, 'rollback-signoff'),
    },
    policies: {
      'prod-signoff': { approve: { role: 'deployer', count: 1 }, reject: 1, not_requester: true, ask: [{ channel: 'ops-slack', to: DEPLOYS }], expire: '4h', on_expire: 'refuse' },
      'rollback-signoff': { approve: { any_of: [{ role: 'oncall', count: 1 }, { role: 'lead', count: 1 }] }, reject: 1, ask: [{ channel: 'ops-slack', to: DEPLOYS }], expire: '30m', on_expire: 'refuse' },
    },
    environments: { staging, production: { repo: staging.repo, promote_from: 'staging' } },
    pipelines: {
      shop: {
        report: { channel: 'ops-slack', to: DEPLOYS },
        stages: [
          { name: 'deploy-staging', run: { command: ['./deploy.sh', 'all', 'staging', '{{sha}}'] }, environment: 'staging' },
          { name: 'e2e-staging', run: { command: ['./e2e.sh', 'staging'] }, environment: 'staging' },
          { name: 'deploy-production', agent: 'deploybot', message: 'deploy SHA {{sha}} to production', environment: 'production' },
          { name: 'e2e-production', run: { command: ['./e2e.sh', 'production'] }, environment: 'production', on_failure: { agent: 'rollback' } },
        ],
      },
    },
    api_keys: [
      { name: 'admin', key: '${ADMIN_KEY}', scopes: ['*', 'people:login'] },
      { name: 'alice-cli', key: '${ALICE_KEY}', person: 'alice', scopes: ['threads:read', 'threads:write', 'requests:read', 'requests:decide'] },
      { name: 'bob-cli', key: '${BOB_KEY}', person: 'bob', scopes: ['threads:read', 'threads:write', 'requests:read', 'requests:decide'] },
      { name: 'desk', key: '${DESK_KEY}', scopes: ['*', 'requests:decide_as'] },
    ],
  };
}

export class World {
  args = [];
  expectedComplaints = /(?!)/;
  expectedDifferences = /(?!)/; // of a replay, where the story changes its configuration
  replays = true; // false: the story leaves no store or no configuration that could be read

  constructor(options) {
    this.options = options;
    this.overSocket = options.socket ?? process.env.SIGNOFF_SLACK === 'socket';
    this.key = Object.fromEntries(['admin', 'alice', 'bob', 'desk'].map((n) => [n, randomBytes(16).toString('hex')]));
  }

  // ---- beginning and end --------------------------------------------------------------------

  async #begin() {
    this.dir = mkdtempSync(join(tmpdir(), 'signoff-story-'));
    this.shop = join(this.dir, 'shop');
    this.logFile = join(this.dir, 'gateway.log');
    await this.#makeShop();
    this.slack = await new Slack({ overSocket: this.overSocket }).start();
    this.slack.addChannel(DEPLOYS, { name: 'deployments' });
    this.slack.addChannel('C0RANDOM', { name: 'random' });
    for (const user of [ALICE, BOB, CAROL, EVE]) this.slack.addUser(user);
    this.github = await new GitHub({ dir: this.shop }).start();
    if (this.options.model) this.model = await new Model({ answer: this.options.model }).start();
    this.port = await freePort();
    this.url = `http://127.0.0.1:${this.port}`;
    this.slack.connect(this.url);
    this.github.connect(this.url);
    this.env = {
      PATH: process.env.PATH, HOME: this.dir, LANG: 'C.UTF-8', SLACK_BOT_TOKEN: this.slack.token, SLACK_SIGNING_SECRET: this.slack.signingSecret, GITHUB_WEBHOOK_SECRET: this.github.secret,
      GITHUB_TOKEN: this.github.token, ...(this.model && { MODEL_KEY: this.model.key }),
      ...(this.slack.socket && { SLACK_APP_TOKEN: this.slack.socket.token, SIGNOFF_CA_FILE: this.slack.socket.caFile }),
      ADMIN_KEY: this.key.admin, ALICE_KEY: this.key.alice, BOB_KEY: this.key.bob, DESK_KEY: this.key.desk,
      ASAN_OPTIONS: 'detect_leaks=1:halt_on_error=1', UBSAN_OPTIONS: 'print_stacktrace=1', ...this.options.env,
    };
    this.config = baseConfig(this);
    this.options.configure?.(this.config, this);
    this.writeConfig();
    if (this.options.start !== false) await this.start(this.options.args);
    return this;
  }

  static async begin(options = {}) {
    if (!existsSync(signoff)) throw new Error(`there is no program at ${signoff}: build it, or say where it is with SIGNOFF=…`);
    const world = new World(options);
    try {
      return await world.#begin();
    } catch (error) {
      await world.#clear();
      throw error;
    }
  }

  writeConfig() {
    writeFileSync(join(this.dir, 'signoff.yaml'), this.options.configText ?? JSON.stringify(this.config, null, 2)); // JSON is YAML
  }

  async #makeShop() {
    if (this.options.template) { // a world that was: its files, and what they are called
      cpSync(this.options.template.dir, this.dir, { recursive: true, filter: (name) => !/gateway\.log$|signoff\.yaml$/.test(name) });
      Object.assign(this, { v1: this.options.template.v1, v2: this.options.template.v2 });
      return;
    }
    const demo = (name) => readFileSync(join(root, 'config/demo', name));
    for (const folder of ['shop/backend', 'shop/frontend', 'environments/staging', 'environments/production']) mkdirSync(join(this.dir, folder), { recursive: true });
    this.file('deploy.sh', demo('deploy.sh'), 0o755);
    this.file('e2e.sh', demo('e2e.sh'), 0o755);
    await exec('git', ['init', '-q', '-b', 'main', this.shop]);
    this.v1 = await this.commit('Open the shop', { 'backend/total': demo('backend-1.sh'), 'frontend/page': demo('frontend-1.sh') });
    await this.git('tag', 'v1.0.0');
    this.v2 = await this.commit('Sum orders twice as fast (#12)', { 'backend/total': demo('backend-2.sh'), 'frontend/page': demo('frontend-2.sh') });
    this.file('environments/staging/orders.csv', '1;12.50\n2;20.00\n');
    this.file('environments/staging/ledger', '32.50');
    // Production has an order written the old way, which version 2 cannot read.
    this.file('environments/production/orders.csv', '1;12,50\n2;20.00\n3;9.50\n');
    this.file('environments/production/ledger', '42.00');
  }

  file(name, text, mode = 0o644) {
    writeFileSync(join(this.dir, name), text, { mode });
  }

  async git(...args) {
    const identity = ['-c', 'user.name=Alice Ng', '-c', 'user.email=alice-ng@users.test', '-c', 'commit.gpgsign=false'];
    return (await exec('git', ['-C', this.shop, ...identity, ...args])).stdout.trim();
  }

  async commit(message, files = {}) {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(this.shop, name), text, { mode: 0o755 });
    await this.git('add', '-A');
    await this.git('commit', '-q', '--allow-empty', '-m', message);
    return this.git('rev-parse', 'HEAD');
  }

  // A change that works everywhere: the old backend with one more comment.
  async goodCommit(message = 'Explain the total') {
    this.good = (this.good ?? 0) + 1;
    const backend = readFileSync(join(root, 'config/demo/backend-1.sh'));
    return this.commit(message, { 'backend/total': `${backend}# revision ${this.good}\n` });
  }

  async start(args = []) {
    const log = openSync(this.logFile, 'a');
    const [program, ...line] = [...(this.options.under ?? []), signoff, 'serve', '--config', join(this.dir, 'signoff.yaml'), ...args];
    this.process = spawn(program, line, { cwd: this.dir, env: this.env, stdio: ['ignore', log, log] });
    closeSync(log);
    this.exited = new Promise((done) => this.process.once('exit', (code, signal) => done({ code, signal })));
    let ended = null;
    this.exited.then((how) => (ended = how));
    running.add(this.process);
    this.exited.then(() => running.delete(this.process));
    await until(async () => {
      if (ended) throw new Error(`signoff ended at once (${JSON.stringify(ended)}):\n${this.log().slice(-3000)}`);
      try {
        return (await fetch(`${this.url}/readyz`)).status === 200;
      } catch {
        return false;
      }
    }, 'the gateway to be ready');
  }

  async kill() {
    this.process.kill('SIGKILL');
    await this.exited;
  }

  async stop() {
    this.process.kill('SIGTERM');
    const begin = Date.now();
    const how = await this.exited;
    assert.deepEqual(how, { code: 0, signal: null }, `the gateway did not end well:\n${this.log().slice(-3000)}`);
    assert.ok(Date.now() - begin < 10000, 'it stopped within 10 s');
  }

  log() {
    return existsSync(this.logFile) ? readFileSync(this.logFile, 'utf8') : '';
  }

  // For the check that every counter is moved by some test: see tests/counters.mjs.
  async #countsWhatMoved() {
    if (!process.env.SIGNOFF_COUNTERS) return;
    const text = await (await fetch(`${this.url}/metrics`)).text().catch(() => '');
    const moved = [...text.matchAll(/^signoff_(\w+_total) ([1-9]\d*)$/gm)].map(([, name]) => `${name}\n`);
    appendFileSync(process.env.SIGNOFF_COUNTERS, moved.join(''));
  }

  async end() {
    try {
      if (this.process && this.process.exitCode === null && this.process.signalCode === null) {
        await this.#countsWhatMoved();
        await this.#restsWhileItWaits();
        await this.stop();
      }
      const bad = /ERROR: AddressSanitizer|runtime error|LeakSanitizer|WARNING: ThreadSanitizer/.exec(this.log());
      assert.ok(!bad, `the sanitizer speaks:\n${this.log().slice(bad?.index ?? 0, (bad?.index ?? 0) + 3000)}`);
      for (const secret of [this.slack.token, this.slack.socket?.token, this.slack.signingSecret, this.github.token, this.model?.key, ...Object.values(this.key)].filter(Boolean)) assert.ok(!this.log().includes(secret), 'no secret is in the log');
      const complaints = [...this.slack.complaints, ...this.github.complaints, ...(this.model?.refused ?? [])].filter((c) => !this.expectedComplaints.test(c));
      assert.deepEqual(complaints, [], 'nobody has a complaint');
      const refused = this.slack.calls.filter((c) => c.answer?.body?.ok === false && c.answer.status === 200 && !this.expectedComplaints.test(c.answer.body.error));
      assert.deepEqual(refused.map((c) => [c.name, c.answer.body]), [], 'Slack refused nothing');
      for (const s of [this.slack, this.github, this.model]) if (s?.crashed) throw s.crashed;
      await this.#givesTheSameBytes();
    } finally {
      await this.#clear();
    }
  }

  // What waits costs nothing: a gateway with nothing to do makes no commits.
  async #restsWhileItWaits() {
    const commits = async () => Number((await this.call('GET', '/metrics')).text.match(/commits_total (\d+)/)?.[1] ?? 0);
    const before = await commits();
    await sleep(100);
    const made = await commits() - before;
    assert.ok(made <= 30, `it made ${made} commits in 100 ms of waiting`);
  }

  // The same events, the same bytes (promise 10): each thread that this story recorded is replayed
  // twice. What the live run asked, read and did must come out again, and the two replays must agree
  // in every context, effect and hash.
  async #givesTheSameBytes() {
    if (!this.replays || !existsSync(join(this.dir, 'signoff.db'))) return;
    const first = await this.cli(['replay', 'all', '--json']);
    const second = await this.cli(['replay', 'all', '--json']);
    assert.ok(first.stdout.startsWith('{'), `replay: ${first.stdout}${first.stderr}`);
    assert.equal(first.stdout, second.stdout, 'two replays agree');
    const odd = JSON.parse(first.stdout).threads.flatMap((t) => t.judged.filter((j) => j.verdict !== 'same').map((j) => `${t.what} ${t.thread} seq ${j.seq} ${j.type}: ${j.message}`));
    assert.deepEqual(odd.filter((line) => !this.expectedDifferences.test(line)), [], 'the same events give the same bytes');
  }

  async #clear() {
    if (this.process?.exitCode === null) this.process.kill('SIGKILL');
    await Promise.all([this.slack, this.github, this.model].filter((s) => s?.server).map((s) => s.close()));
    if (!process.env.KEEP_STORIES) rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 });
    else console.error(`kept: ${this.dir}`);
  }

  // ---- the public doors ---------------------------------------------------------------------

  async call(method, path, body, key = this.key.admin, headers = {}) {
    const raw = typeof body === 'string' || Buffer.isBuffer(body);
    const answer = await fetch(this.url + path, {
      method, redirect: 'manual', signal: AbortSignal.timeout(15000),
      headers: { ...(key && { Authorization: `Bearer ${key}` }), ...(body !== undefined && { 'Content-Type': 'application/json' }), ...headers },
      body: body === undefined ? undefined : raw ? body : JSON.stringify(body),
    });
    const text = await answer.text();
    let json = null;
    try {
      json = JSON.parse(text);
    } catch { /* a page, or nothing */ }
    return { status: answer.status, headers: answer.headers, text, body: json };
  }

  async get(path, key) {
    const answer = await this.call('GET', path, undefined, key);
    assert.equal(answer.status, 200, `GET ${path}: ${answer.text}`);
    return answer.body;
  }

  async threads() {
    return (await this.get('/v1/threads?limit=500')).threads;
  }

  thread(id) {
    return this.get(`/v1/threads/${id}`);
  }

  async events(id) {
    return (await this.get(`/v1/threads/${id}/events?limit=500`)).events;
  }

  async eventsOf(id, type) {
    return (await this.events(id)).filter((e) => e.type === type);
  }

  async requests(status) {
    return (await this.get(`/v1/requests?limit=500${status ? `&status=${status}` : ''}`)).requests;
  }

  decide(request, decision, more = {}, key = this.key.alice) {
    return this.call('POST', `/v1/requests/${request.id ?? request}/decision`, { decision, ...more }, key);
  }

  // The one open request, once there is one (of that tool, or the question).
  open(tool) {
    return until(async () => (await this.requests('open')).find((r) => (tool === undefined ? true : tool === 'question' ? r.kind === 'question' : r.tool === tool)), `an open request${tool ? ` for ${tool}` : ''}`);
  }

  run(number) {
    return until(async () => (await this.threads()).find((t) => t.run === number), `run ${number}`);
  }

  async child(parent, agent) {
    return until(async () => (await this.threads()).find((t) => t.parent === parent.id && t.agent === agent), `${agent} of ${parent.title}`);
  }

  ended(thread, ms) {
    return until(async () => {
      const t = await this.thread(thread.id);
      return ['done', 'failed', 'cancelled'].includes(t.status) && t;
    }, `${thread.title} to end`, ms);
  }

  // ---- Slack ----------------------------------------------------------------------------------

  // The card of a request, as it is in a channel now.
  card(request, channel = DEPLOYS) {
    return until(() => this.slack.ours(channel).find((m) => this.slack.words(m).includes(`Request ${request.code}`)), `the card of request ${request.code}`);
  }

  async openCard(tool, channel = DEPLOYS) {
    const request = await this.open(tool);
    return { request, message: await this.card(request, channel) };
  }

  // A click that is right: waits until the card shows the decision.
  async approve(tool, user = ALICE) {
    const { request, message } = await this.openCard(tool);
    await this.slack.click({ user, message, what: 'Approve' });
    await until(async () => (await this.get(`/v1/requests/${request.id}`)).status === 'approved', `${tool} to be approved`);
    await until(() => this.slack.buttons(message).length === 0, 'the buttons to go');
    return { request, message };
  }

  // Reject, and write why into the modal.
  async reject(tool, why, user = ALICE) {
    const { request, message } = await this.openCard(tool);
    const { payload } = await this.slack.click({ user, message, what: 'Reject' });
    const view = await until(() => this.slack.views.find((v) => v.trigger === payload.trigger_id), 'the modal');
    const { closed, errors } = await this.slack.submit(view, { reason: why });
    assert.ok(closed, `the modal closed: ${JSON.stringify(errors)}`);
    await until(() => this.slack.buttons(message).length === 0, 'the buttons to go');
    return { request, message, view };
  }

  ephemeral(user, pattern) {
    return until(() => this.slack.ephemerals.find((e) => e.user === user && pattern.test(e.text)), `an ephemeral line to ${user} like ${pattern}`);
  }

  // ---- what is true outside --------------------------------------------------------------------

  holds(environment, component) {
    const file = join(this.dir, 'environments', environment, component, 'REVISION');
    try {
      return readFileSync(file, 'utf8').trim();
    } catch { // not there, or just being replaced
      return null;
    }
  }

  async sql(text) {
    return (await exec('sqlite3', ['-cmd', '.timeout 5000', '-json', join(this.dir, 'signoff.db'), text], { maxBuffer: 256 << 20 })).stdout.trim();
  }

  // The whole store as text, once the gateway has stopped.
  async dump() {
    return (await exec('sqlite3', [join(this.dir, 'signoff.db'), '.dump'], { maxBuffer: 64 << 20 })).stdout.trim();
  }

  // The store as it was dumped.
  async restore(file) {
    await exec('sqlite3', [join(this.dir, 'signoff.db'), `.read '${file}'`]);
  }

  async rows(text) {
    const out = await this.sql(text);
    return out === '' ? [] : JSON.parse(out);
  }

  // One command of the program, as a person types it.
  async cli(args, env = {}) {
    const config = ['version', 'demo'].includes(args[0]) ? [] : ['--config', join(this.dir, 'signoff.yaml')];
    try {
      const { stdout, stderr } = await exec(signoff, [...args, ...config], { cwd: this.dir, env: { ...this.env, ...env }, maxBuffer: 64 << 20, timeout: 60000 });
      return { code: 0, stdout, stderr };
    } catch (error) {
      if (typeof error.code !== 'number') throw error;
      return { code: error.code, stdout: error.stdout, stderr: error.stderr };
    }
  }

  remote(key = this.key.alice) {
    return { SIGNOFF_URL: this.url, SIGNOFF_API_KEY: key };
  }

  async auditIsWhole() {
    const { code, stdout, stderr } = await this.cli(['audit', 'verify']);
    assert.equal(code, 0, `audit verify: ${stdout}${stderr}`);
  }

  // Version 1 is in production, with a story behind it.
  async yesterday() {
    await this.github.merge({ number: 11, title: 'Open the shop', sha: this.v1 });
    await this.approve('deploy_frontend');
    await this.approve('deploy_backend');
    const run = await this.ended(await this.run(1));
    assert.equal(run.outcome, 'done');
    assert.deepEqual([this.holds('production', 'backend'), this.holds('production', 'frontend')], [this.v1, this.v1]);
    return run;
  }
}

// If a story ends badly, no process outlives it.
const running = new Set();
process.on('exit', () => {
  for (const p of running) p.kill('SIGKILL');
});

// One story with a world of its own: story('name', options, async (world, t) => …)
export function story(test, name, options, tell) {
  test(name, { timeout: options.timeout ?? 90000 }, async (t) => {
    const world = await World.begin(options);
    let failed = true;
    try {
      await tell(world, t);
      failed = false;
    } catch (error) {
      if (error instanceof Error) error.message += `\n--- end of the log\n${world.log().slice(-1500)}`;
      throw error;
    } finally {
      if (failed) await world.end().catch(() => {});
      else await world.end();
    }
  });
}
