import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { GitHub } from './github.mjs';
import { golden } from './server.mjs';

let github, dir;
const git = (...args) => execFileSync('git', ['-C', dir, '-c', 'user.name=Al', '-c', 'user.email=alice-ng@users.test', '-c', 'commit.gpgsign=false', ...args], { encoding: 'utf8' }).trim();
before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'signoff-github-'));
  git('init', '-q', '-b', 'main');
  for (let i = 1; i <= 5; i++) git('commit', '-q', '--allow-empty', '-m', `Change ${i}\n\nwith a body`);
  git('tag', 'v1', 'HEAD~2');
  git('tag', '-a', '-m', 'two', 'v2', 'HEAD');
  github = await new GitHub({ dir }).start();
});
after(async () => {
  await github.close();
  rmSync(dir, { recursive: true });
});

// node:http, because fetch always sends a User-Agent.
function get(path, headers = {}) {
  const all = { 'User-Agent': 'test', Accept: 'application/vnd.github+json', 'X-GitHub-Api-Version': '2022-11-28', Authorization: `Bearer ${github.token}`, ...headers };
  for (const name of Object.keys(all)) if (all[name] === undefined) delete all[name];
  return new Promise((done, failed) => {
    request(`${github.url}${path}`, { headers: all }, async (res) => {
      let text = '';
      for await (const part of res) text += part;
      done({ status: res.statusCode, headers: res.headers, body: text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : text });
    }).on('error', failed).end();
  });
}

const refusals = [
  ['no User-Agent', '/repos/acme/shop/commits', { 'User-Agent': undefined }, 403],
  ['a strange Accept', '/repos/acme/shop/commits', { Accept: 'text/html' }, 415],
  ['an old version', '/repos/acme/shop/commits', { 'X-GitHub-Api-Version': '2019-01-01' }, 410],
  ['a version of the future', '/repos/acme/shop/commits', { 'X-GitHub-Api-Version': '2099-01-01' }, 400],
  ['another token', '/repos/acme/shop/commits', { Authorization: 'Bearer x' }, 401],
  ['no token (the repository is private)', '/repos/acme/shop/commits', { Authorization: undefined }, 404],
  ['another repository', '/repos/acme/other/commits', {}, 404],
  ['a commit that is not there', '/repos/acme/shop/commits/ffffffffffff', {}, 422],
  ['an option as a ref', '/repos/acme/shop/commits/--all', {}, 422],
  ['a comparison with nothing', '/repos/acme/shop/compare/main...nothing', {}, 404],
];
for (const [name, path, headers, status] of refusals)
  test(`GitHub answers ${status} to ${name}`, async () => {
    assert.equal((await get(path, headers)).status, status);
  });

test('refs resolve to real commit ids, short ones too', async () => {
  const head = git('rev-parse', 'HEAD');
  for (const ref of ['main', head, head.slice(0, 8), 'v2']) assert.equal((await get(`/repos/acme/shop/commits/${ref}`)).body.sha, head);
  assert.equal((await get('/repos/acme/shop/commits/v1')).body.commit.message, 'Change 3\n\nwith a body');
  assert.equal((await get('/repos/acme/shop/commits/v1')).body.author.login, 'alice-ng');
});

test('lists come in pages that Link names', async () => {
  const first = await get('/repos/acme/shop/commits?per_page=2');
  assert.deepEqual(first.body.map((c) => c.commit.message.split('\n')[0]), ['Change 5', 'Change 4']);
  const next = /<([^>]+)>; rel="next"/.exec(first.headers.link)[1];
  const second = await get(next.slice(github.url.length));
  assert.deepEqual(second.body.map((c) => c.commit.message.split('\n')[0]), ['Change 3', 'Change 2']);
  const last = await get('/repos/acme/shop/commits?per_page=2&page=3');
  assert.doesNotMatch(last.headers.link, /rel="next"/);
});

test('comparisons say ahead, behind and identical', async () => {
  const compare = async (what) => (await get(`/repos/acme/shop/compare/${what}`)).body;
  assert.deepEqual((({ status, ahead_by, behind_by }) => [status, ahead_by, behind_by])(await compare('v1...main')), ['ahead', 2, 0]);
  assert.deepEqual((await compare('v1...main')).commits.map((c) => c.commit.message.split('\n')[0]), ['Change 4', 'Change 5']);
  assert.deepEqual((({ status, behind_by, commits }) => [status, behind_by, commits.length])(await compare('main...v1')), ['behind', 2, 0]);
  assert.equal((await compare('main...v2')).status, 'identical');
});

test('what did not change is answered 304 and costs nothing', async () => {
  const { headers } = await get('/repos/acme/shop/tags');
  const used = github.used;
  assert.equal((await get('/repos/acme/shop/tags', { 'If-None-Match': headers.etag })).status, 304);
  assert.equal(github.used, used);
});

test('over the limit it says 403 with the time of the reset, and then goes on', async () => {
  github.limit = github.used;
  github.resetAt = Math.floor(Date.now() / 1000) + 60;
  const answer = await get('/repos/acme/shop/tags');
  assert.deepEqual([answer.status, answer.headers['x-ratelimit-remaining']], [403, '0']);
  github.resetAt = Math.floor(Date.now() / 1000) - 1;
  assert.equal((await get('/repos/acme/shop/tags')).status, 200);
  github.limit = 5000;
});

test('a merge is signed over its bytes, listed, and redelivered under its GUID', async () => {
  const heard = [];
  const app = createServer(async (req, res) => {
    const parts = [];
    for await (const part of req) parts.push(part);
    heard.push({ headers: req.headers, body: Buffer.concat(parts) });
    res.end();
  });
  await new Promise((ready) => app.listen(0, '127.0.0.1', ready));
  github.connect(`http://127.0.0.1:${app.address().port}`);
  const sha = git('rev-parse', 'HEAD');
  const delivery = await github.merge({ number: 12, title: 'Größer', sha });
  await github.redeliver(delivery);
  assert.equal(heard[0].headers['x-github-delivery'], heard[1].headers['x-github-delivery']);
  const expected = createHmac('sha256', github.secret).update(heard[0].body).digest('hex');
  assert.equal(heard[0].headers['x-hub-signature-256'], `sha256=${expected}`);
  const payload = JSON.parse(heard[0].body);
  assert.deepEqual([payload.pull_request.merge_commit_sha, payload.repository.full_name, payload.pull_request.merged_by.login], [sha, 'acme/shop', 'bobokoye']);
  const [listed] = (await get('/repos/acme/shop/pulls?state=closed&sort=updated&direction=desc')).body;
  assert.deepEqual([listed.number, listed.merge_commit_sha, 'merged' in listed, 'merged_by' in listed], [12, sha, false, false]);
  assert.equal((await get('/repos/acme/shop/pulls/12')).body.merged_by.login, 'bobokoye');
  app.close();
});

test("GitHub's published signature is ours", () => {
  // docs.github.com, "Validating webhook deliveries"
  const signed = createHmac('sha256', "It's a Secret to Everybody").update('Hello, World!').digest('hex');
  assert.equal(signed, '757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17');
  assert.ok(golden('github/pull_request.closed-merged.json').length === 29110);
});
