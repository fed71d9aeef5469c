// What all stand-ins share: a loopback HTTP server that reads whole bodies, records every call, and
// can be told to fail: fail(which, how, times). `how` is one of
//   {status, headers, body}   answers so, without acting
//   {cut: 'before' | 'after'} cuts the connection before, or after, it acted
//   {hang: true}              never answers (it did not act)
//   {slow: ms}                acts and answers only after that time
//   {late: ms}                acts at once and answers only after that time
// and that tells of three moments of every call: at(moment, call), where moment is `before` (it was
// read), `acted` or `answered` (the answer was handed to the network).
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export { sleep };

export function golden(path) {
  return readFileSync(new URL(`../golden/${path}`, import.meta.url));
}

export function goldenJson(path) {
  return JSON.parse(golden(path));
}

export class StandIn {
  calls = [];
  at = () => {};
  #faults = [];
  #hung = new Set();

  // handle(call) → {status, headers, body}; body: text, Buffer or a value that is sent as JSON.
  async listen(handle) {
    this.server = createServer((req, res) => {
      this.#serve(req, res, handle).catch((error) => {
        this.crashed = error; // a bug of the stand-in must not pass as a bug of the gateway
        console.error(error);
        res.destroy();
      });
    });
    await new Promise((ready) => this.server.listen(this.port ?? 0, '127.0.0.1', ready));
    this.server.unref(); // no stand-in keeps a failed test alive
    this.port = this.server.address().port; // it comes back under the same address
    this.url = `http://127.0.0.1:${this.port}`;
    return this;
  }

  async #serve(req, res, handle) {
    const parts = [];
    for await (const part of req) parts.push(part);
    const url = new URL(req.url, this.url);
    const call = {
      method: req.method, path: url.pathname, query: url.searchParams, headers: req.headers,
      rawHeaders: req.rawHeaders, body: Buffer.concat(parts), at: Date.now(),
    };
    call.name = this.nameOf(call);
    this.calls.push(call);
    await this.at('before', call);
    const fault = this.#takeFault(call);
    if (fault?.slow) await sleep(fault.slow);
    if (fault?.cut === 'before') return void res.destroy();
    if (fault?.hang) return void this.#hung.add(res);
    const answer = fault?.status ? this.#answerOf(fault) : await handle(call);
    call.answer = answer;
    await this.at('acted', call);
    if (fault?.late) await sleep(fault.late);
    if (fault?.cut === 'after') return void res.destroy();
    let { body } = answer;
    const headers = { ...answer.headers };
    if (body !== undefined && typeof body !== 'string' && !Buffer.isBuffer(body)) {
      body = JSON.stringify(body);
      headers['Content-Type'] ??= 'application/json; charset=utf-8';
    }
    res.writeHead(answer.status ?? 200, headers);
    await new Promise((sent) => res.once('close', sent).end(body, sent));
    await this.at('answered', call);
  }

  #answerOf(fault) {
    const answer = { status: fault.status, headers: { ...fault.headers }, body: fault.body ?? '' };
    if (fault.retryAfter !== undefined) answer.headers['Retry-After'] = String(fault.retryAfter);
    if (fault.status === 429 && fault.body === undefined) answer.body = this.tooManyBody?.() ?? '';
    return answer;
  }

  nameOf(call) {
    return call.path;
  }

  // which: a call's name, a RegExp on it, or a predicate over the call.
  fail(which, how, times = 1) {
    const fits = typeof which === 'function' ? which
      : which instanceof RegExp ? (call) => which.test(call.name) : (call) => call.name === which;
    this.#faults.push({ fits, how, times });
  }

  heal() {
    this.#faults = [];
  }

  #takeFault(call) {
    const fault = this.#faults.find((f) => f.times > 0 && f.fits(call));
    if (fault) fault.times--;
    return fault?.how;
  }

  callsOf(name) {
    return this.calls.filter((call) => call.name === name);
  }

  async close() {
    for (const res of this.#hung) res.destroy();
    this.server.closeAllConnections();
    await new Promise((closed) => this.server.close(closed));
  }
}
