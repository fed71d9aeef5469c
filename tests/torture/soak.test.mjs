// 200 events a second over Socket Mode, and every so often Slack takes the connection away, or it is
// cut: every event is stored once, and the gateway grows no fatter. Here for twenty seconds with a
// disconnect every two; `./run soak` does it for ten minutes, every twenty seconds.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { BOB, DEPLOYS, sleep, story, until } from '../stories/lib.mjs';
import { percentile, timesOf } from './lib.mjs';

const SECONDS = Number(process.env.SOAK_SECONDS ?? 20);
const RATE = Number(process.env.SOAK_RATE ?? 200);
const EVERY = SECONDS > 60 ? 20 : 2;
const ENDS = ['warning', 'refresh_requested', 'cut'];

const idle = (c, w) => {
  w.file('idle.yaml', 'rules:\n  - {name: nothing, do: {intent: nothing_to_do, reason: soak}}\n');
  Object.assign(c.agents.deploybot, { playbook: 'idle.yaml', tools: [], prefetch: [] });
  c.log.level = 'warn';
};

const memory = (pid) => Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;

story(test, `${RATE} events a second for ${SECONDS} s over connections that end every ${EVERY} s: each is stored once`, { socket: true, configure: idle, timeout: (SECONDS + 120) * 1000 }, async (w, t) => {
  const { slack } = w, { socket } = slack;
  w.replays = false; // a hundred thousand threads; the short form has nothing that other stories lack
  await until(() => socket.live.length === 1, 'the connection');
  socket.resends = 100;
  const begin = Date.now(), times = [], samples = [], errors = [], flying = new Set();
  let sent = 0, ends = 0;
  const ending = setInterval(() => {
    const how = ENDS[ends++ % ENDS.length];
    if (how === 'cut') socket.cut();
    else socket.disconnect(how);
  }, EVERY * 1000);
  const sampling = setInterval(() => samples.push(memory(w.process.pid)), Math.max(500, SECONDS * 5));
  while (Date.now() - begin < SECONDS * 1000) {
    for (const due = Math.floor((Date.now() - begin) * RATE / 1000); sent < due; sent++) {
      const ts = slack.nextTs();
      const event = slack.envelope({ type: 'app_mention', user: BOB, team: slack.team, ts, event_ts: ts, channel: DEPLOYS, text: `<@${slack.bot}> number ${sent}.`, blocks: [] }, 'app_mention');
      const flight = socket.send('events_api', event).then(({ error, ms }) => {
        if (error) errors.push(error);
        else times.push(ms);
        flying.delete(flight);
      });
      flying.add(flight);
    }
    await sleep(5);
  }
  clearInterval(ending);
  await Promise.all(flying);
  clearInterval(sampling);
  assert.deepEqual(errors.map(String), [], 'each one is acknowledged');
  await until(async () => (await w.rows('SELECT COUNT(*) n FROM arrivals'))[0].n === 0, 'all to be routed', 60000);
  const [stored] = await w.rows("SELECT COUNT(*) n, COUNT(DISTINCT json_extract(data, '$.text')) texts FROM events WHERE type = 'slack_message'");
  assert.deepEqual(stored, { n: sent, texts: sent }, 'each event is stored once');
  const quarter = Math.floor(samples.length / 4);
  const [second, last] = [samples.slice(quarter, 2 * quarter), samples.slice(-quarter)].map((list) => percentile(list, 0.5));
  t.diagnostic(`${sent} events, ${ends} ends, ${socket.opened} connections, ${socket.resent} sent again; acknowledged ${timesOf(times)}`);
  t.diagnostic(`private memory: second quarter ${second.toFixed(1)} MB, last quarter ${last.toFixed(1)} MB`);
  assert.ok(socket.opened > ends * 0.8, `${socket.opened} connections`);
  if (SECONDS > 60) assert.ok(last < second * 1.25 + 2, `it grew from ${second} to ${last} MB`);
});
