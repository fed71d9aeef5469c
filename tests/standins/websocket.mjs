// The server's half of a WebSocket (RFC 6455), strict: what a client must not do ends the connection
// with a complaint. No extensions, no subprotocols. Also a CA of our own, for TLS in tests.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MAGIC = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const KNOWN = new Set([0, 1, 2, 8, 9, 10]);

export function frame(opcode, payload = '', { last = true, masked = false } = {}) {
  const body = Buffer.from(payload);
  const extra = body.length < 126 ? 0 : body.length < 65536 ? 2 : 8;
  const head = Buffer.alloc(2 + extra);
  head[0] = (last ? 0x80 : 0) | opcode;
  head[1] = (masked ? 0x80 : 0) | (extra === 0 ? body.length : extra === 2 ? 126 : 127);
  if (extra === 2) head.writeUInt16BE(body.length, 2);
  if (extra === 8) head.writeBigUInt64BE(BigInt(body.length), 2);
  return Buffer.concat([head, ...(masked ? [Buffer.alloc(4)] : []), body]);
}

// Events: 'text' (a message in one frame), 'pieces' (one that came in several), 'pong', 'closed' (with
// why), 'complaint'.
export class Peer extends EventEmitter {
  #bytes = Buffer.alloc(0);
  #message = null;
  deaf = false; // true: nothing is read or answered, as behind a dead router
  open = true;

  constructor(socket, head = Buffer.alloc(0)) {
    super();
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (bytes) => this.#feed(bytes));
    socket.on('close', () => this.#end('cut'));
    socket.on('error', () => {});
    if (head.length) this.#feed(head);
  }

  #end(why) {
    if (!this.open) return;
    this.open = false;
    this.emit('closed', why);
  }

  #complain(what) {
    this.emit('complaint', what);
    this.close(1002);
  }

  #feed(bytes) {
    if (this.deaf) return;
    this.#bytes = this.#bytes.length ? Buffer.concat([this.#bytes, bytes]) : bytes;
    while (this.open && this.#one());
  }

  #one() {
    const b = this.#bytes;
    if (b.length < 2) return false;
    const opcode = b[0] & 15, last = Boolean(b[0] & 0x80);
    let length = b[1] & 0x7f, at = 2;
    if (length === 126) {
      if (b.length < 4) return false;
      length = b.readUInt16BE(2);
      at = 4;
    } else if (length === 127) {
      if (b.length < 10) return false;
      length = Number(b.readBigUInt64BE(2));
      at = 10;
    }
    if (b[0] & 0x70) return void this.#complain('a frame has reserved bits');
    if (!KNOWN.has(opcode)) return void this.#complain(`a frame has the opcode ${opcode}`);
    if (!(b[1] & 0x80)) return void this.#complain('a frame of the client is not masked');
    if (opcode >= 8 && (!last || length > 125)) return void this.#complain('a control frame is too long or in pieces');
    if (b.length < at + 4 + length) return false;
    const mask = b.subarray(at, at + 4), payload = Buffer.from(b.subarray(at + 4, at + 4 + length));
    for (let i = 0; i < length; i++) payload[i] ^= mask[i % 4];
    this.#bytes = b.subarray(at + 4 + length);
    this.#take(opcode, last, payload);
    return true;
  }

  #take(opcode, last, payload) {
    if (opcode === 8) {
      if (this.socket.writable) this.socket.write(frame(8, payload.subarray(0, 2)));
      this.socket.end();
      this.code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
      this.#end(`closed ${this.code}`);
    } else if (opcode === 9) this.send(10, payload);
    else if (opcode === 10) this.emit('pong', payload);
    else if (opcode === 0 && !this.#message) this.#complain('a continuation of nothing');
    else if (opcode !== 0 && this.#message) this.#complain('a message inside another');
    else if (!last) this.#message = Buffer.concat([this.#message ?? Buffer.alloc(0), payload]);
    else if (opcode === 0) {
      const whole = Buffer.concat([this.#message, payload]);
      this.#message = null;
      this.emit('pieces', whole.toString('utf8'));
    } else if (opcode === 1) this.emit('text', payload.toString('utf8'));
    else this.#complain('a binary message');
  }

  send(opcode, payload, how) {
    if (this.open && !this.deaf && this.socket.writable) this.socket.write(frame(opcode, payload, how));
  }

  text(value) {
    this.send(1, typeof value === 'string' ? value : JSON.stringify(value));
  }

  // Real Slack leaves TCP open after its goodbye; so do we, for a while.
  close(code = 1000) {
    if (!this.open) return;
    const why = Buffer.alloc(2);
    why.writeUInt16BE(code);
    this.send(8, why);
    setTimeout(() => this.socket.destroy(), 1000).unref();
    this.#end(`we closed ${code}`);
  }

  cut() {
    this.socket.destroy();
    this.#end('cut');
  }
}

// The answer to an upgrade. `mistake`: what a server may do wrong here.
export function accept(req, socket, head, mistake) {
  const refuse = (status, why) => {
    socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    return { why };
  };
  const key = req.headers['sec-websocket-key'] ?? '';
  if (req.method !== 'GET' || req.httpVersion !== '1.1' || !req.headers.host) return refuse(400, 'not a GET of HTTP/1.1 with a Host');
  if ((req.headers.upgrade ?? '').toLowerCase() !== 'websocket' || !/\bupgrade\b/i.test(req.headers.connection ?? '')) return refuse(400, 'no upgrade to websocket');
  if (req.headers['sec-websocket-version'] !== '13') return refuse(426, 'another version than 13');
  if (Buffer.from(key, 'base64').length !== 16 || Buffer.from(key, 'base64').toString('base64') !== key) return refuse(400, 'the key is no 16 bytes');
  if (mistake?.status) return refuse(mistake.status, null);
  const proof = createHash('sha1').update(key + (mistake?.proof ?? MAGIC)).digest('base64');
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${proof}\r\n\r\n`);
  return { peer: new Peer(socket, head) };
}

let authority;
// A CA made for this process, and a certificate of it for 127.0.0.1: {caFile, key, cert}.
export function certificates() {
  if (authority) return authority;
  const dir = mkdtempSync(join(tmpdir(), 'signoff-ca-'));
  process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
  const openssl = (...args) => execFileSync('openssl', args, { cwd: dir, stdio: ['ignore', 'ignore', 'pipe'] });
  const newKey = (name) => openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', name);
  newKey('ca.key');
  openssl('req', '-x509', '-new', '-key', 'ca.key', '-days', '2', '-subj', '/CN=A CA for tests', '-out', 'ca.pem');
  newKey('server.key');
  openssl('req', '-new', '-key', 'server.key', '-subj', '/CN=wss-primary.slack.test', '-out', 'server.csr');
  writeFileSync(join(dir, 'names'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
  openssl('x509', '-req', '-in', 'server.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'names', '-out', 'server.pem');
  authority = { caFile: join(dir, 'ca.pem'), key: readFileSync(join(dir, 'server.key')), cert: readFileSync(join(dir, 'server.pem')) };
  return authority;
}
