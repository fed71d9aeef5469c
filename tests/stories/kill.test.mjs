// The deploy story of the demo while its gateway is killed again and again with SIGKILL, at moments
// spread over the whole story, and started anew: nothing lost, nothing run twice, nothing cut off.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const signoff = process.env.SIGNOFF ?? fileURLToPath(new URL('../../build/debug/signoff', import.meta.url));
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// A small generator of its own, so that a round can be repeated.
function numbers(seed) {
  let state = seed;
  return () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state / 2147483648;
  };
}

async function begin() {
  const demo = spawn(signoff, ['demo', '--keep'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  demo.stdout.on('data', (text) => { out += text; });
  while (!out.includes('Sign in as Alice')) {
    assert.equal(demo.exitCode, null, `the demo ended: ${out}`);
    await sleep(50);
  }
  // From here on the test holds the gateway, not the demo.
  demo.kill('SIGSTOP');
  const pid = Number(execFileSync('pgrep', ['-P', String(demo.pid)]).toString().trim().split('\n')[0]);
  const env = Object.fromEntries(readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').filter(Boolean)
    .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
  return {
    demo, pid, env,
    folder: out.match(/The folder is (\S+)\./)[1],
    url: out.match(/SIGNOFF_URL=(\S+)/)[1],
    key: out.match(/SIGNOFF_API_KEY=(\S+)/)[1],
  };
}

async function api(story, method, path, body) {
  const answer = await fetch(story.url + path, {
    method,
    headers: { authorization: `Bearer ${story.key}`, ...(body ? { 'content-type': 'application/json' } : {}) },
    body: body && JSON.stringify(body),
  });
  return { status: answer.status, body: await answer.json() };
}

const answers = () => [
  { tool: 'deploy_frontend', decision: 'reject', comment: 'can you deploy the backend first?' },
  { tool: 'deploy_backend', decision: 'approve' },
  { tool: 'deploy_frontend', decision: 'approve' },
  { tool: 'roll_back_backend', decision: 'approve' },
];

// One look: decides what is open. True when both runs are over.
async function look(story, left) {
  const open = (await api(story, 'GET', '/v1/requests?status=open')).body.requests ?? [];
  for (const request of open) {
    assert.equal(request.tool, left[0]?.tool, 'the story went another way');
    const vote = { decision: left[0].decision, comment: left[0].comment };
    const { status } = await api(story, 'POST', `/v1/requests/${request.id}/decision`, vote);
    if (status === 200) left.shift();
    else assert.equal(status, 409, 'a decision was refused');
  }
  const runs = (await api(story, 'GET', '/v1/threads?limit=100')).body.threads.filter((t) => t.pipeline);
  return left.length === 0 && runs.length === 2 && runs.every((run) => run.outcome !== null);
}

async function play(story, random) {
  const log = openSync(join(story.folder, 'restarts.log'), 'a');
  const left = answers();
  const end = Date.now() + 90000;
  let kills = 0;
  let next = Date.now() + random() * 300;
  for (;;) {
    assert.ok(Date.now() < end, `the story did not go on; its folder is ${story.folder}`);
    if (Date.now() > next && kills < 12) {
      process.kill(story.pid, 'SIGKILL');
      kills += 1;
      await sleep(random() * 100);
      const args = ['serve', '--config', join(story.folder, 'signoff.yaml')];
      story.pid = spawn(signoff, args, { env: story.env, stdio: ['ignore', 'ignore', log] }).pid;
      next = Date.now() + 100 + random() * 700;
    }
    try {
      if (await look(story, left)) return kills;
    } catch (problem) {
      if (problem instanceof assert.AssertionError) throw problem;
      // it is down for the moment
    }
    await sleep(20);
  }
}

function revision(story, place) {
  return readFileSync(join(story.folder, 'environments', place, 'REVISION'), 'utf8').trim();
}

function query(story, sql) {
  return execFileSync('sqlite3', [join(story.folder, 'signoff.db'), sql]).toString().trim().split('\n').filter(Boolean);
}

for (const seed of [4, 11]) {
  test(`the story ends right although its gateway is killed a dozen times (seed ${seed})`, { timeout: 180000 }, async () => {
    const story = await begin();
    try {
      const kills = await play(story, numbers(seed));
      assert.ok(kills >= 5, 'the story was over before it was disturbed');
      const [first, second] = execFileSync('git', ['-C', join(story.folder, 'shop'), 'log', '--reverse', '--format=%H'])
        .toString().trim().split('\n');
      assert.equal(revision(story, 'staging/backend'), second);
      assert.equal(revision(story, 'staging/frontend'), second);
      assert.equal(revision(story, 'production/backend'), first);
      assert.equal(revision(story, 'production/frontend'), second);
      // Every call and every stage started once and ended once.
      const twice = query(story, `select thread, type, json_extract(data, '$.call'), json_extract(data, '$.stage'),
        json_extract(data, '$.attempt') from events where type in ('tool_started', 'tool_finished', 'stage_started')
        and coalesce(json_extract(data, '$.prefetch'), 0) = 0 group by 1, 2, 3, 4, 5 having count(*) > 1`);
      assert.deepEqual(twice, []);
      assert.equal(query(story, `select count(*) from events where type = 'tool_started'
        and json_extract(data, '$.request') is not null`)[0], '5');
      const verdict = execFileSync(signoff, ['audit', 'verify', '--config', join(story.folder, 'signoff.yaml')], { env: story.env });
      assert.match(verdict.toString(), /nothing was changed/);
    } finally {
      try { process.kill(story.pid, 'SIGTERM'); } catch { /* it is gone */ }
      story.demo.kill('SIGKILL');
      await sleep(300);
      rmSync(story.folder, { recursive: true, force: true });
    }
  });
}
