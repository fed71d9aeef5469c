// Slack's Socket Mode: tickets for one connection each, hello, envelopes with acknowledgements, and
// what Slack does to its connections. Sources: docs.slack.dev (using Socket Mode), the recorded frames
// of tests/golden/slack, what client libraries found out (acknowledgements that are too long or in
// pieces are lost; a resent envelope has the same id).
import { randomBytes, randomUUID } from 'node:crypto';
import { createServer } from 'node:https';
import { goldenJson, sleep } from './server.mjs';
import { accept, certificates } from './websocket.mjs';

const MOST = 10; // connections of an app
const ACK_MAX = 20479;
const TICKET_MS = 30000;
const shapes = { hello: goldenJson('slack/socket--hello.json'), tooMany: goldenJson('slack/socket--disconnect_too_many_websockets.json') };

export class SocketMode {
  enabled = true;
  ackMs = 3000; // what is not acknowledged by then is sent again
  resends = 5;
  pingMs = 2000;
  leaveMs = 300; // from a disconnect to the end of its connection; ten seconds in reality
  connections = [];
  opened = 0; // connections so far
  asked = 0; // addresses given
  acks = 0;
  resent = 0;
  silent = new Set();
  others = 0; // connections of somebody else
  #tickets = new Map();
  #faults = [];
  #waiting = new Map(); // envelope_id → what waits for its acknowledgement
  #held = [];
  #turn = 0;
  #sockets = new Set();

  constructor(slack) {
    this.slack = slack;
    this.token = `xapp-1-A0APP0000-${randomBytes(12).toString('hex')}`;
  }

  get complaints() {
    return this.slack.complaints;
  }

  async start() {
    const { caFile, key, cert } = certificates();
    this.caFile = caFile;
    this.server = createServer({ key, cert }, (req, res) => res.writeHead(400).end('this door is for WebSockets'));
    this.server.on('upgrade', (req, socket, head) => this.#upgrade(req, socket, head));
    this.server.on('tlsClientError', () => {});
    this.server.on('secureConnection', (socket) => this.#sockets.add(socket));
    await new Promise((ready) => this.server.listen(this.port ?? 0, '127.0.0.1', ready));
    this.server.unref();
    this.port = this.server.address().port;
    this.pinger = setInterval(() => this.live.forEach((c) => c.peer.send(9, 'alive?')), this.pingMs).unref();
    return this;
  }

  async close() {
    clearInterval(this.pinger);
    for (const w of this.#waiting.values()) w.done({ error: new Error('the stand-in ends') });
    for (const c of this.connections) c.peer.cut();
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((closed) => this.server.close(closed));
  }

  // which: a name (hello, events_api, interactive, slash_commands) or a RegExp on it. how: one of
  //   {cut: 'before' | 'sent' | 'after'}  the connection ends instead of the envelope being sent, right
  //                                       after, or when its acknowledgement comes, which is forgotten
  //   {lost: true}                        its acknowledgement is lost
  //   {slow: ms}                          sent so much later
  //   {duplicate: true}                   sent twice
  //   {later: true}                       sent after the next one
  //   {disconnect: reason, when: 'before' | 'sent' | 'acked'}  (hello: instead of it)
  //   {none: true}                        (hello) it never comes
  fail(which, how, times = 1) {
    this.#faults.push({ fits: which instanceof RegExp ? (n) => which.test(n) : (n) => n === which, how, times });
  }

  heal() {
    this.#faults = [];
  }

  #takeFault(name) {
    const fault = this.#faults.find((f) => f.times > 0 && f.fits(name));
    if (fault) fault.times--;
    return fault?.how;
  }

  // ---- apps.connections.open -------------------------------------------------------------------

  // → the body of its answer, as text: Slack escapes slashes.
  open(call, args) {
    const { authorization } = call.headers;
    if (call.method !== 'POST') return { ok: false, error: 'invalid_http_method' };
    if (!authorization) return { ok: false, error: 'not_authed' }; // a token in the body is not read
    if (args.token !== undefined) this.complaints.push('an app-level token in a body');
    if (authorization === `Bearer ${this.slack.token}`) return { ok: false, error: 'not_allowed_token_type' };
    if (authorization !== `Bearer ${this.token}`) return { ok: false, error: 'invalid_auth' };
    if (!this.enabled) return { ok: false, error: 'socket_mode_not_enabled' };
    const ticket = randomUUID();
    this.asked++;
    this.#tickets.set(ticket, Date.now());
    const url = `wss://127.0.0.1:${this.port}/link/?ticket=${ticket}&app_id=${this.slack.app}`;
    return JSON.stringify({ ok: true, url }).replaceAll('/', '\\/');
  }

  // ---- connections -----------------------------------------------------------------------------

  get live() {
    return this.connections.filter((c) => c.ready && c.peer.open && !c.peer.deaf);
  }

  #upgrade(req, socket, head) {
    socket.on('error', () => {});
    const url = new URL(req.url, 'http://here');
    const made = this.#tickets.get(url.searchParams.get('ticket'));
    const mistake = this.#takeFault('upgrade');
    if (mistake?.hang) return;
    if (!made || Date.now() - made > TICKET_MS || url.pathname !== '/link/') {
      this.complaints.push('a ticket was used twice, late, or never given');
      return void socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
    }
    this.#tickets.delete(url.searchParams.get('ticket'));
    const { peer, why } = accept(req, socket, head, mistake);
    if (why) this.complaints.push(`handshake: ${why}`);
    if (!peer) return;
    const c = { peer, number: ++this.opened, ready: false, unacked: new Set(), since: Date.now() };
    this.connections.push(c);
    peer.on('complaint', (what) => this.complaints.push(`socket: ${what}`));
    peer.on('text', (text) => this.#acknowledged(c, text));
    peer.on('pieces', () => this.complaints.push('an acknowledgement in pieces is lost'));
    peer.on('pong', () => { c.pongAt = Date.now(); });
    peer.on('closed', (how) => this.#ended(c, how));
    if (!mistake) this.#greet(c);
  }

  #greet(c) {
    const fault = this.#takeFault('hello');
    if (this.connections.length + this.others > MOST) {
      c.peer.text(shapes.tooMany);
      return void setTimeout(() => c.peer.close(), 50).unref();
    }
    if (fault?.cut) return void c.peer.cut();
    if (fault?.disconnect) return void this.disconnect(fault.disconnect, c);
    if (fault?.none) return;
    setTimeout(() => {
      c.peer.text({ ...shapes.hello, num_connections: this.connections.length + this.others, connection_info: { app_id: this.slack.app } });
      c.ready = true;
    }, fault?.slow ?? 0);
  }

  #ended(c, how) {
    this.connections = this.connections.filter((other) => other !== c);
    c.how = how;
    for (const id of c.unacked) this.#waiting.get(id)?.again('timeout');
  }

  // Slack wants a connection back (the newest live one).
  disconnect(reason = 'warning', c = this.live.at(-1)) {
    if (!c) return null;
    c.leaving = true;
    c.peer.text({ type: 'disconnect', reason, debug_info: { host: 'applink-111-xxx' } });
    setTimeout(() => c.peer.close(), this.leaveMs).unref();
    return c;
  }

  cut() {
    this.live.forEach((c) => c.peer.cut());
  }

  // From now on the connections that there are neither say nor hear anything, and stay.
  goSilent() {
    this.connections.forEach((c) => { c.peer.deaf = true; });
  }

  async #someConnection() {
    const end = Date.now() + this.ackMs;
    for (;;) {
      const all = this.live;
      const staying = all.filter((c) => !c.leaving);
      if (all.length) return (staying.length ? staying : all)[this.#turn++ % (staying.length || all.length)];
      if (Date.now() > end) return null;
      await sleep(10);
    }
  }

  // ---- envelopes -------------------------------------------------------------------------------

  // One envelope, until it is acknowledged: {payload, ms} or {error}.
  send(type, payload, { takesPayload = type !== 'events_api', attempt = 0 } = {}) {
    const envelope = { envelope_id: randomUUID(), payload, type, accepts_response_payload: takesPayload };
    if (type === 'events_api') Object.assign(envelope, { retry_attempt: attempt, retry_reason: attempt ? 'timeout' : '' });
    return new Promise((resolve) => {
      const wait = {
        envelope, tries: 0, fault: this.#takeFault(type),
        done: (result) => {
          clearTimeout(wait.timer);
          if (this.#waiting.delete(envelope.envelope_id)) resolve({ ...result, ms: Date.now() - wait.sentAt });
        },
        again: (reason) => {
          clearTimeout(wait.timer);
          if (!this.#waiting.has(envelope.envelope_id)) return;
          if (++wait.tries > this.resends) return void wait.done({ error: new Error('never acknowledged') });
          this.resent++;
          if (type === 'events_api') Object.assign(envelope, { retry_attempt: wait.tries, retry_reason: reason });
          this.#transmit(wait);
        },
      };
      wait.sentAt = Date.now();
      this.#waiting.set(envelope.envelope_id, wait);
      this.#transmit(wait);
    });
  }

  async #transmit(wait) {
    const { fault, envelope } = wait;
    const first = wait.tries === 0;
    if (first && fault?.slow) await sleep(fault.slow);
    if (first && fault?.later) {
      fault.later = false;
      this.#held.push(wait);
      setTimeout(() => this.#release(), 1000).unref();
      return;
    }
    const c = await this.#someConnection();
    if (!c) return void wait.done({ error: new Error('no connection') });
    if (first && fault?.disconnect && fault.when !== 'sent' && fault.when !== 'acked') this.disconnect(fault.disconnect, c);
    if (first && fault?.cut === 'before') {
      c.peer.cut();
      return void wait.again('timeout');
    }
    wait.sentAt = Date.now();
    wait.timer = setTimeout(() => wait.again('timeout'), this.ackMs);
    c.unacked.add(envelope.envelope_id);
    c.peer.text(envelope);
    if (first && fault?.duplicate) c.peer.text(envelope);
    if (first && fault?.disconnect && fault.when === 'sent') this.disconnect(fault.disconnect, c);
    if (first && fault?.cut === 'sent') setTimeout(() => c.peer.cut(), 1);
    this.#release();
  }

  #release() {
    for (const wait of this.#held.splice(0)) this.#transmit(wait);
  }

  #acknowledged(c, text) {
    let ack;
    try {
      ack = JSON.parse(text);
    } catch { /* judged below */ }
    const id = ack?.envelope_id;
    if (typeof id !== 'string' || Object.keys(ack).some((k) => !['envelope_id', 'payload'].includes(k))) return void this.complaints.push(`no acknowledgement: ${text.slice(0, 100)}`);
    if (Buffer.byteLength(text) > ACK_MAX) return void this.complaints.push('an acknowledgement of 20,480 bytes or more is not read');
    if (!c.unacked.has(id)) return void (c.acked?.has(id) || this.complaints.push('an acknowledgement on a connection that did not bring the envelope'));
    const wait = this.#waiting.get(id);
    if (!wait) return;
    const { fault } = wait;
    if (wait.tries === 0 && fault?.cut === 'after') return void c.peer.cut();
    if (wait.tries === 0 && fault?.lost) return;
    c.unacked.delete(id);
    (c.acked ??= new Set()).add(id);
    this.acks++;
    if (ack.payload !== undefined && !wait.envelope.accepts_response_payload) this.complaints.push('a payload where the envelope takes none');
    if (wait.tries === 0 && fault?.disconnect && fault.when === 'acked') this.disconnect(fault.disconnect, c);
    wait.done({ payload: ack.payload });
  }

  // What would have been posted to a door of the gateway; → {status, body, ms} or {error, ms}.
  async post(path, body, { headers = {} } = {}) {
    const form = path === '/events' ? null : Object.fromEntries(new URLSearchParams(String(body)));
    const [type, payload] = path === '/events' ? ['events_api', JSON.parse(body)]
      : path === '/interactions' ? ['interactive', JSON.parse(form.payload)] : ['slash_commands', form];
    // A click in a message takes no answer; a form does.
    const takesPayload = type === 'slash_commands' || (type === 'interactive' && payload.type !== 'block_actions');
    const { error, payload: answer, ms } = await this.send(type, payload, { takesPayload, attempt: Number(headers['X-Slack-Retry-Num'] ?? 0) });
    return error ? { error, ms } : { status: 200, body: answer === undefined ? '' : JSON.stringify(answer), ms };
  }
}
