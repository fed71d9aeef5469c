// What the torture tests share. SIGNOFF_TORTURE=full asks for the long form of each.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { signoff } from '../stories/lib.mjs';

const exec = promisify(execFile);

export const isFull = process.env.SIGNOFF_TORTURE === 'full';
export const form = { 'Content-Type': 'application/x-www-form-urlencoded' };

// Production takes any commit, so that a story can begin with a proposal.
export const direct = (config) => delete config.environments.production.promote_from;

// Runs all jobs, `width` at a time; → their results, in order.
export async function atOnce(width, jobs) {
  const results = new Array(jobs.length);
  let next = 0;
  await Promise.all(Array.from({ length: Math.min(width, jobs.length) }, async () => {
    for (let i = next++; i < jobs.length; i = next++) results[i] = await jobs[i]();
  }));
  return results;
}

// The same order in every run: a failure can be looked at again.
export function shuffled(list, seed = 1) {
  const out = [...list];
  let state = seed;
  for (let i = out.length - 1; i > 0; i--) {
    state = (state * 1103515245 + 12345) % 2147483648;
    const j = state % (i + 1);
    [out[i], out[j]] = [out[j], out[i]];
  }
  return out;
}

export function percentile(times, share) {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

export const timesOf = (times) => `${times.length} times: p50 ${percentile(times, 0.5).toFixed(1)} ms, p99 ${percentile(times, 0.99).toFixed(1)} ms, longest ${Math.max(...times).toFixed(1)} ms`;

// A store with a long life behind it, made beside the program or said by FILL.
export async function fill(path, threads, events, open = 0) {
  const program = process.env.FILL ?? join(dirname(signoff), 'fill');
  if (!existsSync(program)) throw new Error(`there is no ${program}: cmake --build --preset release --target fill`);
  const { stdout } = await exec(program, [path, threads, events, open].map(String), { env: { ...process.env, ASAN_OPTIONS: 'detect_leaks=0' } });
  return stdout.trim();
}

export async function metrics(w) {
  const text = await (await fetch(`${w.url}/metrics`)).text();
  return Object.fromEntries([...text.matchAll(/^signoff_(\S+) (\S+)$/gm)].map(([, name, value]) => [name, Number(value)]));
}

// A person in a browser, without the browser.
export async function signIn(w, person) {
  const link = await w.call('POST', `/v1/people/${person}/login`, {}, w.key.admin);
  const signed = await w.call('POST', new URL(link.body.url).pathname, '', null, form);
  const session = { Cookie: signed.headers.get('set-cookie').split(';')[0] };
  const get = (path) => w.call('GET', path, undefined, null, session);
  return {
    get, cookie: session.Cookie,
    token: async (path) => /name="form_token" value="([^"]+)"/.exec((await get(path)).text)[1],
    post: (path, fields) => w.call('POST', path, new URLSearchParams(fields).toString(), null, { ...form, ...session }),
  };
}

export function groupBy(list, keyOf) {
  const groups = new Map();
  for (const one of list) groups.set(keyOf(one), [...(groups.get(keyOf(one)) ?? []), one]);
  return groups;
}
