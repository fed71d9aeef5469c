// GitHub on this machine: its REST API, read from a real git repository so that every commit id is
// real, and signed webhooks built on a recorded delivery. Sources: GitHub docs (REST, "Best practices",
// "Validating webhook deliveries"), the recorded bodies of tests/golden/github.
import { execFile } from 'node:child_process';
import { createHash, createHmac, randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { StandIn, goldenJson } from './server.mjs';

const run = promisify(execFile);
const VERSIONS = ['2022-11-28', '2026-03-10'];
const FIELDS = ['%H', '%T', '%P', '%an', '%ae', '%aI', '%cn', '%ce', '%cI', '%B'];

export class GitHub extends StandIn {
  token = 'ghp_' + 'a'.repeat(36);
  secret = "It's a Secret to Everybody";
  repo = 'acme/shop';
  pulls = [];
  deployments = []; // newest first, each with its statuses, newest first
  limit = 5000;
  used = 0;
  resetAt = Math.floor(Date.now() / 1000) + 3600;
  complaints = [];
  deliveries = [];
  logins = new Set(['alice-ng', 'bobokoye']); // whose mail addresses are linked to an account

  constructor(options = {}) {
    super();
    Object.assign(this, options);
  }

  async start() {
    return this.listen((call) => this.#serve(call));
  }

  // ---- git ------------------------------------------------------------------------------------

  async git(...args) {
    const { stdout } = await run('git', ['-C', this.dir, ...args], { maxBuffer: 64 << 20 });
    return stdout;
  }

  async #resolve(ref) {
    if (!ref || ref.startsWith('-')) return null;
    try {
      return (await this.git('rev-parse', '--verify', '--quiet', '--end-of-options', `${ref}^{commit}`)).trim();
    } catch {
      return null;
    }
  }

  async #log(...args) {
    const out = await this.git('log', `--format=${FIELDS.join('%x00')}%x01`, ...args);
    return out.split('\x01').map((t) => t.replace(/^\n/, '')).filter(Boolean).map((t) => this.#commit(t.split('\0')));
  }

  #commit([sha, tree, parents, name, email, at, committer, committerEmail, committedAt, message]) {
    const login = email.endsWith('@users.test') ? email.split('@')[0] : null;
    return {
      sha, node_id: 'C_' + sha.slice(0, 10), url: `${this.url}/repos/${this.repo}/commits/${sha}`, html_url: `https://github.com/${this.repo}/commit/${sha}`,
      commit: { author: { name, email, date: at }, committer: { name: committer, email: committerEmail, date: new Date(committedAt).toISOString().replace('.000', '') }, message: message.replace(/\n$/, ''), tree: { sha: tree }, comment_count: 0 },
      author: login && this.logins.has(login) ? { login, id: 1, type: 'User' } : null, // null for unlinked addresses
      committer: null,
      parents: parents.split(' ').filter(Boolean).map((p) => ({ sha: p })),
    };
  }

  // ---- REST -----------------------------------------------------------------------------------

  #error(status, message, more = {}) {
    return { status, headers: this.#limitHeaders(), body: { message, documentation_url: 'https://docs.github.com/rest', status: String(status), ...more } };
  }

  #limitHeaders() {
    return { 'x-ratelimit-limit': String(this.limit), 'x-ratelimit-remaining': String(Math.max(0, this.limit - this.used)), 'x-ratelimit-used': String(this.used), 'x-ratelimit-reset': String(this.resetAt), 'x-ratelimit-resource': 'core', 'x-github-api-version-selected': '2022-11-28' };
  }

  async #serve(call) {
    const h = call.headers;
    if (!h['user-agent']) return { status: 403, headers: { 'Content-Type': 'text/html' }, body: 'Request forbidden by administrative rules. Please make sure your request has a User-Agent header' };
    if (!/^(application\/vnd\.github(\.\w+)?(\+json)?|application\/json|\*\/\*)(,|;|$)/.test(h.accept ?? '*/*')) return this.#error(415, "Unsupported 'Accept' header");
    if (h['x-github-api-version'] === undefined) this.complaints.push(`no API version on ${call.path}`);
    else if (!VERSIONS.includes(h['x-github-api-version'])) return this.#error(h['x-github-api-version'] < VERSIONS[0] ? 410 : 400, 'Not a supported version');
    if (h.authorization !== undefined && h.authorization !== `Bearer ${this.token}`) return this.#error(401, 'Bad credentials');
    if (this.used >= this.limit) {
      if (this.resetAt * 1000 > Date.now()) return this.#error(403, 'API rate limit exceeded for user ID 1.');
      this.used = 0;
    }
    if (h.authorization === undefined) return this.#error(404, 'Not Found'); // a private repository
    if (call.method !== 'GET') return this.#error(404, 'Not Found');
    const prefix = `/repos/${this.repo}/`;
    let path;
    try {
      path = call.path.split('/').map(decodeURIComponent).join('/');
    } catch {
      return this.#error(400, 'Bad Request');
    }
    const answer = path.startsWith(prefix) ? await this.#read(path.slice(prefix.length), call) : this.#error(404, 'Not Found');
    if (answer.status !== 200) return answer;
    const etag = `W/"${createHash('sha256').update(JSON.stringify(answer.body)).digest('hex')}"`;
    if (h['if-none-match'] === etag) return { status: 304, headers: { ...this.#limitHeaders(), ETag: etag } };
    this.used++;
    return { ...answer, headers: { ...this.#limitHeaders(), ETag: etag, 'Content-Type': 'application/json; charset=utf-8', ...answer.headers } };
  }

  #page(call, list, mostPerPage = 100) {
    const perPage = Math.min(Number(call.query.get('per_page') ?? 30) || 30, mostPerPage);
    const page = Math.max(Number(call.query.get('page') ?? 1) || 1, 1);
    const pages = Math.max(1, Math.ceil(list.length / perPage));
    const link = (n, rel) => {
      const q = new URLSearchParams(call.query);
      q.set('page', n);
      return `<${this.url}${call.path}?${q}>; rel="${rel}"`;
    };
    const links = [page > 1 && link(page - 1, 'prev'), page < pages && link(page + 1, 'next'), page < pages && link(pages, 'last')].filter(Boolean);
    return { status: 200, headers: links.length ? { Link: links.join(', ') } : {}, body: list.slice((page - 1) * perPage, page * perPage) };
  }

  async #read(rest, call) {
    const commits = /^commits\/(.+)$/.exec(rest);
    const compare = /^compare\/(.+?)\.\.\.(.+)$/.exec(rest);
    if (commits) {
      const sha = await this.#resolve(commits[1]);
      if (!sha) return this.#error(422, `No commit found for SHA: ${commits[1]}`);
      return { status: 200, body: (await this.#log('-1', sha))[0] };
    }
    if (rest === 'commits') {
      const sha = await this.#resolve(call.query.get('sha') ?? 'HEAD');
      return sha ? this.#page(call, await this.#log(sha)) : this.#error(404, 'Not Found');
    }
    if (rest === 'tags') {
      const tags = (await this.git('tag', '--format=%(refname:short)')).split('\n').filter(Boolean).sort().reverse(); // not chronological
      const list = [];
      for (const name of tags) list.push({ name, commit: { sha: await this.#resolve(`refs/tags/${name}`), url: '' }, zipball_url: '', tarball_url: '', node_id: 'REF' });
      return this.#page(call, list);
    }
    if (compare) return this.#compare(compare[1], compare[2], call);
    if (rest === 'deployments') return this.#page(call, this.deployments.map(({ statuses, ...deployment }) => deployment));
    const statuses = /^deployments\/(\d+)\/statuses$/.exec(rest);
    if (statuses) {
      const one = this.deployments.find((d) => d.id === Number(statuses[1]));
      return one ? this.#page(call, one.statuses) : this.#error(404, 'Not Found');
    }
    if (rest === 'pulls') return this.#listPulls(call);
    const pull = /^pulls\/(\d+)$/.exec(rest);
    if (pull) {
      const one = this.pulls.find((p) => p.number === Number(pull[1]));
      return one ? { status: 200, body: one } : this.#error(404, 'Not Found');
    }
    return this.#error(404, 'Not Found');
  }

  async #compare(baseRef, headRef, call) {
    const base = await this.#resolve(baseRef);
    const head = await this.#resolve(headRef);
    if (!base || !head) return this.#error(404, 'Not Found');
    const ahead = (await this.#log('--reverse', `${base}..${head}`));
    const behind = Number((await this.git('rev-list', '--count', `${head}..${base}`)).trim());
    const status = base === head ? 'identical' : behind === 0 ? 'ahead' : ahead.length === 0 ? 'behind' : 'diverged';
    const page = this.#page(call, ahead, 100);
    return { ...page, body: { html_url: `https://github.com/${this.repo}/compare/${baseRef}...${headRef}`, status, ahead_by: ahead.length, behind_by: behind, total_commits: ahead.length, commits: page.body, files: [] } };
  }

  #listPulls(call) {
    const state = call.query.get('state') ?? 'open';
    const list = this.pulls.filter((p) => state === 'all' || p.state === state).sort((a, b) => (a.updated_at < b.updated_at ? 1 : -1));
    // REST's list has fewer members than a delivery: no `merged`, no `merged_by`.
    return this.#page(call, list.map(({ merged, merged_by, ...p }) => p));
  }

  // ---- merges and webhooks ----------------------------------------------------------------------

  #payload({ number, title, sha, author = 'alice-ng', mergedBy = 'bobokoye', base = 'main', body = null, mergedAt = new Date().toISOString(), merged = true, repo = this.repo }) {
    const p = structuredClone(goldenJson('github/pull_request.closed-merged.json'));
    p.number = number;
    Object.assign(p.pull_request, { number, title, body, merged, merge_commit_sha: sha, merged_at: merged ? mergedAt : null, closed_at: mergedAt, updated_at: mergedAt, state: 'closed', html_url: `https://github.com/${repo}/pull/${number}` });
    p.pull_request.user = { ...p.pull_request.user, login: author };
    p.pull_request.merged_by = merged ? { ...p.pull_request.user, login: mergedBy } : null;
    p.pull_request.base.ref = base;
    Object.assign(p.repository, { full_name: repo, name: repo.split('/')[1] });
    p.sender = { ...p.sender, login: mergedBy };
    return p;
  }

  // A pull request is merged. send: false when no webhook arrives (the gateway was away).
  async merge(what, { send = true, ...how } = {}) {
    const payload = this.#payload(what);
    this.pulls.push(payload.pull_request);
    return send ? this.deliver(payload, how) : payload;
  }

  deliver(payload, { event = 'pull_request', guid = randomUUID(), ...how } = {}) {
    return this.post(Buffer.from(JSON.stringify(payload)), { event, guid, ...how });
  }

  // The same delivery once more, under the same GUID, as "Redeliver" does.
  redeliver(delivery) {
    return this.post(delivery.body, delivery);
  }

  async post(body, { event, guid, secret = this.secret, signature, contentType = 'application/json', headers = {}, form = false } = {}) {
    const sent = form ? Buffer.from(new URLSearchParams({ payload: body.toString() }).toString()) : body;
    const sign = signature !== undefined ? signature : `sha256=${createHmac('sha256', secret).update(sent).digest('hex')}`; // null: unsigned
    const answer = await fetch(`${this.gateway}/github/webhook`, {
      method: 'POST', body: sent, signal: AbortSignal.timeout(10000),
      headers: {
        'Content-Type': form ? 'application/x-www-form-urlencoded' : contentType, 'User-Agent': 'GitHub-Hookshot/044aadd', 'X-GitHub-Event': event, 'X-GitHub-Delivery': guid, 'X-GitHub-Hook-ID': '300000004',
        'X-GitHub-Hook-Installation-Target-Type': 'repository', 'X-GitHub-Hook-Installation-Target-ID': '576689461', ...(sign !== null && { 'X-Hub-Signature-256': sign }), ...headers,
      },
    });
    const delivery = { body, event, guid, secret, form, status: answer.status, answer: await answer.text() };
    this.deliveries.push(delivery);
    return delivery;
  }

  connect(base) {
    this.gateway = base;
  }
}
