// The deploy story under torture: the real program with fault.so in it, restarted whenever it is
// killed, and people who do what people do: click again when nothing happened. Then one judge, who
// looks from outside at everything that was promised.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ALICE, BOB, DEPLOYS, World, signoff, sleep, until } from '../stories/lib.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const fault = resolve(process.env.FAULT ?? join(root, 'build/debug/tests/fault.so'));

export const POINTS = ['commit', 'torn', 'sync', 'read', 'checkpoint', 'spawn', 'spawned', 'order', 'send', 'forget', 'runner'];
export const MOMENTS = ['before', 'acted', 'answered'];
export { sleep, until, DEPLOYS, ALICE, BOB };

// Every command says in runs.log when it begins and when, and how, it ends.
const logged = (script) => `#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
echo "begin ${script} $*" >>"$here/runs.log"
"$here/real-${script}" "$@"
code=$?
echo "end ${script} $* $code" >>"$here/runs.log"
exit $code
`;

// What a sensible model answers: it reads the events it is given, newest last.
function sensibleModel(request) {
  const events = [...request.user.matchAll(/^<(\w+)>\n([\s\S]*?)^<\/\1>/gm)].map(([, tag, body]) => ({ tag, body }));
  const last = events.at(-1);
  const done = (tool) => events.some((e) => e.tag === `${tool}_result` && /output:/.test(e.body));
  if (last.tag === 'slack_message' && /thanks/.test(last.body)) return { intent: 'keep_waiting', reason: 'they only thank me' };
  if (/roll_back_backend/.test(JSON.stringify(request.schema))) {
    if (done('roll_back_backend')) return { intent: 'done_for_now', message: 'The backend is back where it was.' };
    const sha = /previous:\n[\s\S]*?production: \{backend: ([0-9a-f]{40})/.exec(request.user)[1];
    return { intent: 'roll_back_backend', sha, reasoning: 'the page shows a wrong total since the backend changed' };
  }
  const sha = /<github_pull_request>[\s\S]*?sha: ([0-9a-f]{40})/.exec(request.user)?.[1];
  if (!sha) return { intent: 'request_human_input', question: 'What shall I deploy?', context: null, options: { urgency: 'low', format: 'free_text', choices: [] } };
  if (done('deploy_backend') && done('deploy_frontend')) return { intent: 'done_for_now', message: `Both parts of ${sha.slice(0, 7)} are out.` };
  const decided = events.filter((e) => e.tag === 'request_decided').at(-1);
  if (decided && /backend first/.test(decided.body) && !done('deploy_backend')) return { intent: 'deploy_backend', sha: sha.slice(0, 9) };
  return done('deploy_frontend') ? { intent: 'deploy_backend', sha: sha.slice(0, 9) } : { intent: 'deploy_frontend', sha: sha.slice(0, 9) };
}

// The demo's own configuration and environment; its decisions come by the API.
const demoConfig = readFileSync(join(root, 'config/demo/signoff.yaml'), 'utf8');

function optionsOf(kind, more) {
  return kind === 'demo' ? { configText: demoConfig, start: false, ...more } : { model: sensibleModel, start: false, ...more };
}

// ---- the gateway, always started again -------------------------------------------------------------

export class Torture {
  kills = 0;
  starts = 0;
  #down = true;
  #board;

  static async begin(kind, { orders = '', template, configure } = {}) {
    const t = new Torture();
    t.kind = kind;
    t.orders = orders;
    t.world = await World.begin(optionsOf(kind, { template, configure }));
    const w = t.world;
    w.slack.retryDelays = [100, 500, 1500];
    // While the gateway is down people see errors, and click again.
    w.expectedComplaints = /^an interaction was answered (undefined|503)|_trigger_id$/;
    if (!template) {
      for (const script of ['deploy.sh', 'e2e.sh']) {
        renameSync(join(w.dir, script), join(w.dir, `real-${script}`));
        w.file(script, logged(script), 0o755);
      }
    }
    w.file('runs.log', '');
    const key = { DEMO_PORT: String(w.port), DEMO_WEBHOOK_SECRET: w.github.secret, DEMO_ADMIN_KEY: w.key.admin, DEMO_ALICE_KEY: w.key.alice };
    t.env = { ...w.env, ...(kind === 'demo' && key) };
    for (const name of ['cli']) { // its commands need the same names
      const plain = w[name].bind(w);
      w[name] = (args, env) => plain(args, { ...(kind === 'demo' && key), ...env });
    }
    w.repo = kind === 'demo' ? 'demo/shop' : 'acme/shop';
    t.boardFile = join(w.dir, 'board');
    t.#board = openSync(t.boardFile, 'w+');
    writeSync(t.#board, Buffer.alloc(4096));
    return t;
  }

  start() {
    const w = this.world;
    const log = openSync(w.logFile, 'a');
    const faults = this.orders === null ? {} : { LD_PRELOAD: fault, SIGNOFF_FAULT: this.orders, SIGNOFF_FAULT_BOARD: this.boardFile };
    this.starts += 1;
    this.#down = false;
    w.process = spawn(signoff, ['serve', '--config', join(w.dir, 'signoff.yaml')], {
      cwd: w.dir, stdio: ['ignore', log, log],
      env: { ...this.env, ...faults, ASAN_OPTIONS: `verify_asan_link_order=0:${w.env.ASAN_OPTIONS}` },
    });
    closeSync(log);
    const { process: child } = w;
    w.exited = new Promise((done) => child.once('exit', (code, signal) => done({ code, signal })));
    living.add(child);
    w.exited.then(({ code, signal }) => {
      living.delete(child);
      this.#down = true;
      if (signal === 'SIGKILL') this.kills += 1;
      else if (code !== 0 && !(code === 1 && this.mayFail)) this.crashed ??= new Error(`the gateway ended with ${JSON.stringify({ code, signal })}`);
      if (!this.ending) setTimeout(() => { if (!this.ending) this.start(); }, signal === 'SIGKILL' ? 10 : 200); // as systemd would
    });
  }

  kill() {
    this.world.process.kill('SIGKILL');
    return this.world.exited;
  }

  get board() {
    const at = readFileSync(this.boardFile);
    return { ...Object.fromEntries(POINTS.map((p, i) => [p, Number(at.readBigInt64LE(i * 8))])), fired: Number(at.readBigInt64LE(88)) };
  }

  // Whether failures that were ordered are over for now.
  heal(healed = true) {
    const one = Buffer.alloc(4);
    one.writeInt32LE(healed ? 1 : 0);
    writeSync(this.#board, one, 0, 4, 100);
  }

  // The gateway is killed at that moment of the n-th call of a stand-in.
  killAtCalls(standIn, moment, ns) {
    let seen = 0;
    this.world[standIn].at = async (now) => {
      if (now === moment && ns.includes(++seen)) await this.kill();
    };
  }

  // Ends the gateway as an operator does; an order may still kill it on the way.
  async stop() {
    this.ending = true;
    for (let i = 0; i < 5; i++) {
      if (this.#down) this.start();
      await until(() => this.#down || this.ready(), 'the gateway to be ready before it is stopped');
      if (this.#down) continue;
      this.world.process.kill('SIGTERM');
      const how = await this.world.exited;
      await sleep(0);
      if (how.signal === 'SIGKILL') continue;
      assert.deepEqual(how, { code: 0, signal: null }, 'it stops when it is told to');
      return;
    }
    assert.fail('it could not be stopped');
  }

  async ready() {
    try {
      return (await fetch(`${this.world.url}/readyz`, { signal: AbortSignal.timeout(2000) })).status === 200;
    } catch {
      return false;
    }
  }

  async end() {
    this.ending = true;
    if (!this.#down) {
      this.world.process.kill('SIGKILL');
      await this.world.exited;
    }
    closeSync(this.#board);
    await this.world.end();
  }
}

const living = new Set();
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

// ---- the people -------------------------------------------------------------------------------------

const TODAY = [
  { tool: 'deploy_frontend', decision: 'reject', comment: 'can you deploy the backend first?' },
  { tool: 'deploy_backend', decision: 'approve' },
  { tool: 'deploy_frontend', decision: 'approve', thanks: true },
  { tool: 'roll_back_backend', decision: 'approve' },
];
const YESTERDAY = [{ tool: 'deploy_frontend', decision: 'approve' }, { tool: 'deploy_backend', decision: 'approve' }];

const isAway = (error) => error instanceof TypeError || error?.name === 'TimeoutError' || error?.name === 'AbortError';

class Away extends Error {}

// Every look goes by the API; a gateway that is away or cannot is looked at again.
async function ask(t, method, path, body, key) {
  try {
    const answer = await t.world.call(method, path, body, key);
    if (answer.status === 503) {
      assert.ok(answer.headers.get('retry-after'), `a 503 says when to come again: ${path}`);
      throw new Away();
    }
    assert.ok(method !== 'GET' || answer.status === 200, `${path} was answered ${answer.status}: ${answer.text}`);
    return answer;
  } catch (error) {
    if (isAway(error)) throw new Away();
    throw error;
  }
}

async function merge(t, number, title, sha) {
  const w = t.world;
  const guid = `torture-${number}`;
  const what = { number, title, sha, repo: w.repo };
  let payload = await w.github.merge(what, { send: false });
  for (let i = 0; ; i++) {
    let status = 0;
    try {
      ({ status } = await w.github.deliver(payload, { guid }));
    } catch (error) {
      if (!isAway(error)) throw error;
    }
    if (status >= 200 && status < 300) return;
    // GitHub does not deliver again: the merge must be found. The demo, which has no token, does.
    if (t.kind !== 'demo') return;
    await sleep(50);
    assert.ok(i < 400, 'the merge was never taken');
  }
}

async function clickSlack(t, line, request) {
  const w = t.world;
  const message = w.slack.ours(DEPLOYS).find((m) => w.slack.words(m).includes(`Request ${request.code}`) && w.slack.buttons(m).length > 0);
  if (!message) return false; // the card is not here yet
  if (line.decision === 'approve') {
    await w.slack.click({ user: ALICE, message, what: 'Approve' });
    return true;
  }
  const { payload } = await w.slack.click({ user: ALICE, message, what: 'Reject' });
  const begin = Date.now();
  let view;
  while (!(view = w.slack.views.find((v) => v.trigger === payload.trigger_id)) && Date.now() - begin < 600) await sleep(10);
  for (let i = 0; view?.open && i < 6; i++, await sleep(100)) {
    const complaints = w.slack.complaints.length;
    const { closed } = await w.slack.submit(view, { reason: line.comment });
    if (closed) break;
    w.slack.complaints.splice(complaints, Infinity, ...w.slack.complaints.slice(complaints).filter((c) => !/trouble connecting/.test(c)));
  }
  return true;
}

// Words in the conversation that are no decision. Slack delivers them until they are taken.
async function thank(t, line, request) {
  const w = t.world;
  const events = (await ask(t, 'GET', `/v1/threads/${request.thread}/events?limit=500`)).body.events;
  if (!line.said) {
    const card = w.slack.ours(DEPLOYS).find((m) => w.slack.words(m).includes(`Request ${request.code}`));
    if (!card) return false;
    line.said = w.slack.say({ user: BOB, channel: DEPLOYS, thread_ts: card.thread_ts, text: 'thanks' });
  }
  return events.some((e) => e.type === 'step' && e.data.intent === 'keep_waiting');
}

async function decide(t, line, request) {
  if (t.kind !== 'demo') {
    if (line.thanks && !(await thank(t, line, request))) return false;
    if (!line.clicked || Date.now() - line.clicked > 700) { // nothing happened: again
      if (await clickSlack(t, line, request)) line.clicked = Date.now();
    }
  } else {
    const answer = await ask(t, 'POST', `/v1/requests/${request.id}/decision`, { decision: line.decision, comment: line.comment }, t.world.key.alice);
    assert.ok([200, 409].includes(answer.status), `the decision was answered ${answer.status}: ${answer.text}`);
  }
  const now = (await ask(t, 'GET', `/v1/requests/${request.id}`)).body;
  if (now.status === 'open') return false;
  assert.equal(now.status, line.decision === 'approve' ? 'approved' : 'rejected', `request for ${line.tool}`);
  return true;
}

async function runOf(t, number) {
  return (await ask(t, 'GET', '/v1/threads?limit=500')).body.threads?.find((r) => r.run === number);
}

// Nothing is due or under way any more.
async function isQuiet(t) {
  const rows = await t.world.rows("select (select count(*) from deliveries where state in ('due', 'sending')) + (select count(*) from tool_runs where state <> 'ended') + (select count(*) from threads where dirty = 1) as n");
  return rows[0].n === 0;
}

export async function play(t, lines, number, ms) {
  const left = lines.map((line) => ({ ...line }));
  const end = Date.now() + ms;
  for (;;) {
    if (t.crashed) throw t.crashed;
    if (Date.now() > end) assert.fail(`the story does not go on: ${left[0] ? `waits to ${left[0].decision} ${left[0].tool}` : 'waits for its end'}; ${JSON.stringify(t.board)}`);
    try {
      await t.during?.(); // what a test looks at beside it
      const open = (await ask(t, 'GET', '/v1/requests?status=open&limit=500')).body.requests;
      if (open.length > 0) {
        const [request] = open;
        assert.equal(request.tool ?? request.question, left[0]?.tool, 'the story goes as it is told');
        if (await decide(t, left[0], request)) left.shift();
      } else if (left.length === 0) {
        const run = await runOf(t, number);
        if (run?.outcome && await isQuiet(t)) return run;
      } else if (left[0].clicked || t.kind === 'demo') {
        // Decided, and the answer was lost on the way: see whether this one is it.
        const all = (await ask(t, 'GET', '/v1/requests?limit=500')).body.requests.filter((r) => r.raised_at >= t.begunAt).reverse();
        const mine = all[lines.length - left.length];
        if (mine && mine.status !== 'open' && mine.tool === left[0].tool) left.shift();
      }
    } catch (error) {
      if (!(error instanceof Away)) throw error;
    }
    await sleep(15);
  }
}

// ---- the templates ------------------------------------------------------------------------------------

// Version 1 is out, as the demo's yesterday tells it; every round begins from a copy of this.
export async function yesterday(kind) {
  const t = await Torture.begin(kind, { orders: null });
  try {
    t.begunAt = new Date().toISOString();
    t.start();
    await until(() => t.ready(), 'the gateway to be ready');
    await merge(t, 11, 'Open the shop', t.world.v1);
    await play(t, YESTERDAY, 1, 60000);
    await t.stop();
    const dir = mkdtempSync(join(tmpdir(), 'signoff-yesterday-'));
    rmSync(dir, { recursive: true });
    renameSync(t.world.dir, dir);
    return { dir, v1: t.world.v1, v2: t.world.v2, remove: () => rmSync(dir, { recursive: true, force: true }) };
  } finally {
    t.ending = true;
    await t.end().catch((error) => { if (error.code !== 'ENOENT') throw error; });
  }
}

// ---- one round ------------------------------------------------------------------------------------------

// `arrange(t)`: what this round does to the gateway; `wait`: how long after the end something may still
// come. → what happened.
export async function round(kind, template, { orders = '', arrange, mayFail = false, ms = 60000, wait = 0 } = {}) {
  const begin = Date.now();
  const t = await Torture.begin(kind, { orders, template });
  let good = false;
  try {
    t.mayFail = mayFail;
    await arrange?.(t);
    t.begunAt = new Date().toISOString();
    t.start();
    await until(() => t.ready(), 'the gateway to be ready', 20000);
    await merge(t, 12, 'Sum orders twice as fast', t.world.v2);
    const run = await play(t, TODAY, 2, ms);
    await t.stop();
    await sleep(wait); // what is late comes late
    await judge(t, run);
    good = true;
    const calls = Object.fromEntries(['slack', 'github', 'model'].map((name) => [name, t.world[name]?.calls.length ?? 0]));
    return { board: t.board, kills: t.kills, starts: t.starts, calls, ms: Date.now() - begin };
  } catch (error) {
    if (error instanceof Error) error.message += `\n(${kind}, ${orders || 'no orders'}, killed ${t.kills} times)\n--- end of the log\n${t.world.log().slice(-2500)}`;
    throw error;
  } finally {
    if (good) await t.end();
    else await t.end().catch(() => {});
  }
}

// ---- the judge --------------------------------------------------------------------------------------------

const counted = (list) => list.reduce((m, x) => m.set(x, (m.get(x) ?? 0) + 1), new Map());

// Each exactly once.
function assertOnce(list, what) {
  const twice = [...counted(list)].filter(([, n]) => n !== 1);
  assert.deepEqual(twice, [], `${what}: more than once`);
}

function judgeCommands(t) {
  const w = t.world;
  const at = (script, code) => [`begin ${script}`, `end ${script} ${code}`];
  const expected = [
    at(`deploy.sh all staging ${w.v2}`, 0), at('e2e.sh staging', 0), at(`deploy.sh backend production ${w.v2}`, 0), at(`deploy.sh frontend production ${w.v2}`, 0),
    at('e2e.sh production', 1), at(`deploy.sh backend production ${w.v1}`, 0), at('e2e.sh production', 0),
  ].flat();
  assert.deepEqual(readFileSync(join(w.dir, 'runs.log'), 'utf8').trim().split('\n'), expected, 'every command ran once, in order, to its end');
  assert.deepEqual([w.holds('production', 'backend'), w.holds('production', 'frontend'), w.holds('staging', 'backend'), w.holds('staging', 'frontend')], [w.v1, w.v2, w.v2, w.v2]);
}

const parsed = (rows) => rows.map((e) => ({ ...e, data: JSON.parse(e.data) }));

async function judgeEvents(t, run) {
  const w = t.world;
  const threads = await w.rows(`select id, parent, agent, pipeline, status, outcome from threads where id = '${run.id}' or root = '${run.id}'`);
  assert.deepEqual(threads.map((x) => [x.agent ?? x.pipeline, x.status]).sort(), [['deploybot', 'done'], ['rollback', 'done'], ['shop', 'failed']], 'one thread of each');
  assert.equal((await w.rows('select count(*) as n from threads where pipeline is not null'))[0].n, 2, 'a merge is one run');
  assert.equal(run.outcome, 'rolled_back');
  const of = {};
  for (const thread of threads) {
    const events = parsed(await w.rows(`select seq, at_ms, type, actor, data from events where thread = '${thread.id}' order by seq`));
    assert.deepEqual(events.map((e) => e.seq), events.map((_, i) => i + 1), 'no event is missing');
    of[thread.agent ?? 'run'] = events;
    const started = events.filter((e) => e.type === 'tool_started' && !e.data.prefetch);
    const finished = events.filter((e) => e.type === 'tool_finished' && !e.data.prefetch);
    assertOnce(started.map((e) => e.data.call), 'a call was started');
    assert.deepEqual(finished.map((e) => e.data.call).sort(), started.map((e) => e.data.call).sort(), 'every call that was started ended, once');
    for (const e of started.filter((x) => x.data.request)) {
      const votes = events.filter((v) => v.type === 'vote' && v.data.request === e.data.request);
      assert.ok(votes.length === 1 && votes[0].seq < e.seq, 'nothing started without its one vote');
    }
    for (const e of finished.filter((x) => /^(deploy|roll_back)_/.test(x.data.tool))) {
      assert.deepEqual([e.data.outcome, e.data.result.exit], ['ok', 0], `${e.data.tool} has its real result`);
      assert.match(e.data.result.output, /in production is now [0-9a-f]{40}/, `${e.data.tool} has its real output`);
    }
    assertOnce(events.filter((e) => e.type === 'request_raised').map((e) => e.data.request), 'a request was raised');
    assertOnce(events.filter((e) => e.type === 'request_decided').map((e) => e.data.request), 'a request was decided');
    assertOnce(events.filter((e) => e.type === 'delivery_sent').map((e) => e.data.delivery), 'a delivery was said to be sent');
    assert.deepEqual(events.filter((e) => e.type === 'delivery_failed'), [], 'no delivery failed');
    assert.equal(events.filter((e) => e.type === 'finished').length, 1, 'it finished once');
  }
  const intents = (events) => events.filter((e) => e.type === 'step').map((e) => e.data.intent);
  const thanked = t.kind === 'demo' ? [] : ['keep_waiting'];
  assert.deepEqual(intents(of.deploybot), ['deploy_frontend', 'deploy_backend', 'deploy_frontend', ...thanked, 'done_for_now']);
  assert.deepEqual(intents(of.rollback), ['roll_back_backend', 'done_for_now']);
  if (t.kind !== 'demo') assert.equal(of.deploybot.filter((e) => e.type === 'slack_message').length, 1, 'what was said is there once');
  const decided = of.deploybot.filter((e) => e.type === 'request_decided').map((e) => [e.actor, e.data.tool, e.data.outcome, e.data.comment]);
  assert.deepEqual(decided, [['person:alice', 'deploy_frontend', 'rejected', 'can you deploy the backend first?'], ['person:alice', 'deploy_backend', 'approved', undefined], ['person:alice', 'deploy_frontend', 'approved', undefined]]);
  assertOnce(of.run.filter((e) => e.type === 'stage_started').map((e) => `${e.data.stage} ${e.data.attempt}`), 'a stage was started');
  const stages = of.run.filter((e) => e.type === 'stage_finished').map((e) => [e.data.stage, e.data.outcome]);
  assert.deepEqual(stages, [['deploy-staging', 'ok'], ['e2e-staging', 'ok'], ['deploy-production', 'ok'], ['e2e-production', 'failed'], ['e2e-production', 'ok']]);
  const failed = of.run.find((e) => e.type === 'stage_finished' && e.data.outcome === 'failed');
  assert.match(failed.data.tail, /FAILED: the page says/, 'the failure has its real output');
}

async function judgeStore(t) {
  const w = t.world;
  assert.deepEqual(await w.rows('pragma integrity_check'), [{ integrity_check: 'ok' }]);
  assert.deepEqual(await w.rows("select id, state, error from deliveries where state <> 'sent'"), [], 'every delivery arrived');
  assert.deepEqual(await w.rows("select id, kind, name, state from tool_runs where state <> 'ended' and kind <> 'reconcile'"), [], 'nothing is under way'); // a look for merges begins with each start
  assert.deepEqual(await w.rows("select id, code from requests where status = 'open'"), []);
  assert.deepEqual(await w.rows('select * from holds'), [], 'nobody holds an environment');
  const twice = await w.rows("select kind, ref, count(*) as n from timers where ref = 'periodic' group by 1, 2 having n > 1");
  assert.deepEqual(twice, [], 'each clock runs once');
  // A refusal stays for as long as a runner that was started before it might still come.
  const left = readdirSync(join(w.dir, 'state')).filter((name) => readFileSync(join(w.dir, 'state', name), 'utf8') !== 'refused\n');
  assert.deepEqual(left, [], 'no file of a command is left behind');
  await w.auditIsWhole();
}

async function judgeSlack(t, run) {
  const w = t.world;
  const ours = w.slack.ours(DEPLOYS);
  const requests = await w.rows(`select code, status, tool from requests where thread in (select id from threads where root = '${run.id}')`);
  assert.equal(requests.length, 4);
  for (const request of requests) {
    const cards = ours.filter((m) => w.slack.words(m).includes(`Request ${request.code}`));
    assert.ok(cards.length >= 1, `nobody was shown request ${request.code} (${request.tool})`);
    // Each further copy says of itself, or said when it came, that it may be one.
    const plain = cards.filter((m) => !/may be a repeat/.test([...(m.edits.map((e) => JSON.stringify(e.blocks))), JSON.stringify(m.blocks)].join()));
    assert.ok(plain.length <= 1, `request ${request.code} was posted ${cards.length} times, ${plain.length} of them unmarked`);
    for (const card of cards) {
      assert.deepEqual(w.slack.buttons(card), [], `a copy of request ${request.code} still has buttons`);
      assert.match(w.slack.words(card), request.status === 'approved' ? /Approved.* by Alice Ng/ : /Rejected.* by Alice Ng/);
    }
  }
  const others = ours.filter((m) => !/Request \d+/.test(w.slack.words(m)));
  assertOnce(others.map((m) => m.metadata.event_payload.id), 'a message that asks nothing was posted');
  const status = others.filter((m) => m.text.startsWith('shop run 2'));
  assert.equal(status.length, 1, 'one status message');
  assert.match(status[0].text, /rolled_back/, 'the status message says how it ended');
  assert.equal(others.filter((m) => /^Run 2 .*rolled_back/.test(m.text)).length, 1, 'one report');
  const strays = ours.filter((m) => m !== status[0] && m.thread_ts !== status[0].ts);
  assert.deepEqual(strays.map((m) => m.text), [], 'all of it is in one conversation');
}

async function judge(t, run) {
  judgeCommands(t);
  await judgeEvents(t, run);
  await judgeStore(t);
  if (t.kind !== 'demo') await judgeSlack(t, run);
}
