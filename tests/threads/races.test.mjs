// Every thread of the program at work at the same time: doors, pages, streams, providers, commands,
// reloads, cut connections. Meant for the program built with ThreadSanitizer (preset tsan), which
// ends a story with its report in the log; it passes with any build.
import assert from 'node:assert/strict';
import { createConnection } from 'node:net';
import test from 'node:test';
import { ALICE, BOB, DEPLOYS, sleep, story, until } from '../stories/lib.mjs';
import { direct, isFull, signIn } from '../torture/lib.mjs';

const SECONDS = isFull ? 120 : 12;

// Does it over and over until time is up, `width` side by side; → how often.
async function keepAt(end, width, act) {
  let done = 0;
  await Promise.all(Array.from({ length: width }, async () => {
    while (Date.now() < end) {
      await act(done);
      done++;
    }
  }));
  return done;
}

// A stream that is read for a moment and then dropped.
async function follow(w, path) {
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 50 + Math.random() * 300);
  try {
    const answer = await fetch(w.url + path, { headers: { Authorization: `Bearer ${w.key.admin}` }, signal: stop.signal });
    for await (const piece of answer.body) assert.ok(piece.length > 0);
  } catch (error) {
    if (error.name !== 'AbortError') throw error;
  }
}

// Half a request, and away.
function hangUp(w) {
  return new Promise((done) => {
    const socket = createConnection(w.port, '127.0.0.1', () => {
      socket.write('POST /slack/events HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{"type"');
      setTimeout(() => socket.destroy(), Math.random() * 30);
    });
    socket.on('close', done);
    socket.on('error', () => {});
  });
}

const busy = (c) => {
  direct(c);
  c.tools.deploy_backend.run = { command: ['sh', '-c', 'echo deploying; sleep 0.1'] };
  delete c.tools.deploy_backend.target;
  c.log.level = 'info';
  c.api_keys.push({ name: 'busy', key: '${BUSY_KEY}', person: 'carol', scopes: ['*'] });
};

for (const socket of [false, true]) story(test, `All that can be done at once is done at once, and no two threads touch one thing (Slack ${socket ? 'over its socket' : 'by webhooks'})`, { socket, configure: busy, env: { BUSY_KEY: 'busy-key-busy-key-busy-key-busy-key' }, timeout: (SECONDS + 90) * 1000, model: (r) => (/tool_result|_result>|rejected|human_/.test(r.user) ? { intent: 'done_for_now', message: 'Done.' } : { intent: 'request_human_input', question: 'Go on?', options: { format: 'yes_no' } }) }, async (w) => {
  w.expectedComplaints = /invalid_auth|ratelimited|exchanged_trigger_id|expired_trigger_id/;
  const browser = await signIn(w, 'alice');
  const end = Date.now() + SECONDS * 1000;
  const asked = [];
  const counts = await Promise.all([
    // People write, in conversations of their own.
    keepAt(end, 2, async (n) => asked.push(await w.slack.say({ user: n % 2 ? ALICE : BOB, channel: DEPLOYS, text: `look at it ${n}`, mention: true }))),
    // Others start threads over the API, look at them, answer them.
    keepAt(end, 2, async () => {
      const { body, status } = await w.call('POST', '/v1/threads', { agent: 'deploybot', message: 'deploy it' }, w.env.BUSY_KEY);
      if (status === 429) return void await sleep(100);
      assert.ok(status < 300, `${status}`);
      await follow(w, `/v1/threads/${body.id ?? body.thread}/stream`);
    }),
    keepAt(end, 1, async () => {
      for (const r of (await w.call('GET', '/v1/requests?status=open&limit=20')).body.requests ?? [])
        await w.decide(r, 'answer', { answer: Math.random() < 0.5 ? 'yes' : 'no' }, w.key.alice);
      await sleep(20);
    }),
    // Somebody reads everything.
    keepAt(end, 2, async (n) => {
      const { status } = await browser.get(['/', '/threads', '/requests', '/account'][n % 4]);
      assert.ok([200, 404].includes(status), `${status}`);
    }),
    keepAt(end, 1, async () => void (await w.call('GET', '/metrics'), await w.call('GET', '/readyz'), await sleep(5))),
    // Wires are cut: ours by peers, and Slack's.
    keepAt(end, 2, () => hangUp(w)),
    keepAt(end, 1, async () => {
      w.slack.fail('chat.postMessage', { cut: Math.random() < 0.5 ? 'before' : 'after' }, 1);
      w.model.fail(/completions/, { status: 503 }, 1);
      await sleep(300);
    }),
    // Slack takes its connections back, and they are cut.
    keepAt(end, 1, async (n) => {
      if (socket && n % 3 === 2) w.slack.socket.cut();
      else if (socket) w.slack.socket.disconnect(n % 3 ? 'warning' : 'refresh_requested');
      await sleep(2500);
    }),
    // The configuration is read anew, again and again; a channel with a socket comes and goes.
    keepAt(end, 1, async (n) => {
      if (n % 4 === 0) delete w.config.channels.beside;
      else if (socket) w.config.channels.beside = { ...w.config.channels['ops-slack'], app_token: 'xapp-of-nobody' };
      w.writeConfig();
      w.process.kill('SIGHUP');
      await sleep(150);
    }),
    // A merge now and then: stages, commands, git.
    keepAt(end, 1, async (n) => {
      await w.github.merge({ number: 100 + n, title: `Change ${n}`, sha: await w.goodCommit(`Change ${n}`) });
      await sleep(1000);
    }),
  ]);
  w.slack.heal();
  w.model.heal();
  for (const [i, n] of counts.entries()) assert.ok(n > 3, `kind ${i} was done ${n} times`);
  console.log(`    done: ${counts.join(' ')}`);
  // It is whole, and answers.
  assert.equal((await w.call('GET', '/healthz')).status, 200);
  await until(async () => (await w.threads()).length > 10, 'its threads');
  await w.auditIsWhole();
});
