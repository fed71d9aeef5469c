// A workspace of Slack on this machine: the Web API as strict as the real one, and the sending side
// (signed events, clicks on buttons that really are on a card, modals). Sources: docs.slack.dev, the
// recorded bodies of tests/golden/slack.
import { createHmac, randomBytes } from 'node:crypto';
import { StandIn, goldenJson, sleep } from './server.mjs';
import { SocketMode } from './socket_mode.mjs';
import { badMarkup, checkBlocks, checkFound, checkHome, checkView, pings, wordsOf } from './block_kit.mjs';

const GET_TYPE = new Set(['auth.test', 'users.info', 'users.lookupByEmail', 'conversations.info', 'conversations.members', 'conversations.history', 'conversations.replies', 'chat.getPermalink', 'bots.info']);
const NO_JSON = new Set(['users.info', 'users.lookupByEmail', 'conversations.info', 'conversations.members', 'conversations.replies', 'chat.getPermalink', 'bots.info']);
const POST_ARGUMENTS = ['channel', 'text', 'blocks', 'attachments', 'thread_ts', 'reply_broadcast', 'metadata', 'unfurl_links', 'unfurl_media', 'mrkdwn', 'parse', 'link_names', 'username', 'icon_url', 'icon_emoji', 'client_msg_id'];

const shapes = {
  auth: goldenJson('slack/api--auth.test.ok_bot.json'),
  post: goldenJson('slack/api--chat.postMessage.ok.json'),
  open: goldenJson('slack/api--conversations.open.ok.json'),
  mention: goldenJson('slack/event--app_mention--rich_text.json'),
  message: goldenJson('slack/event--message_channel--user.json'),
  click: goldenJson('slack/block_actions--button_in_message.json'),
  submission: goldenJson('slack/view_submission--private_metadata.json'),
};

const copy = (v) => structuredClone(v);
const escapeText = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

export class Slack extends StandIn {
  token = `xoxb-${randomBytes(12).toString('hex')}`;
  signingSecret = randomBytes(16).toString('hex');
  bot = 'U0B0TB0TB';
  botId = 'B0B0TB0TB';
  team = 'T0TEAM000';
  app = 'A0APP0000';
  triggerLife = 3000;
  retryDelays = [0, 300, 1500]; // at once, +1 min, +5 min; an hour is too long for a test
  channels = new Map(); // id → {id, name, member, messages: []}
  users = new Map();
  ephemerals = [];
  views = [];
  homes = new Map(); // user → {hash, view, published}
  deliveries = []; // what we sent: {event_id, attempt, status}
  overSocket = false; // Socket Mode is on: see socket_mode.mjs
  complaints = []; // what real Slack would let pass, but no good app does
  #triggers = new Map();
  #micros = 0;
  #events = 0;
  #sending = new Set();

  constructor(options = {}) {
    super();
    Object.assign(this, options);
  }

  async start() {
    await this.listen((call) => this.#serveApi(call));
    this.apiBase = `${this.url}/api`;
    if (this.overSocket) this.socket = await new SocketMode(this).start();
    return this;
  }

  async close() {
    await this.socket?.close();
    await Promise.allSettled(this.#sending);
    await super.close();
  }

  addChannel(id, { name = id.toLowerCase(), member = true, archived = false } = {}) {
    this.channels.set(id, { id, name, member, archived, messages: [] });
    return id;
  }

  addUser(id, name = id.toLowerCase()) {
    this.users.set(id, { id, name });
    return id;
  }

  nameOf(call) {
    return call.path.replace(/^\/api\//, '');
  }

  tooManyBody() {
    return goldenJson('slack/api--error_ratelimited_429.json');
  }

  // ---- the Web API ---------------------------------------------------------------------------

  #serveApi(call) {
    const method = this.nameOf(call);
    if (!call.path.startsWith('/api/')) return { status: 404, body: 'no such page' };
    const { args, error, warning, messages } = this.#argumentsOf(call, method);
    call.args = args ?? {};
    let body = error ? { ok: false, error, ...(messages && { response_metadata: { messages } }) } : this.#perform(call, method, args);
    if (warning) body = { ...body, warning, response_metadata: { ...body.response_metadata, warnings: [warning] } };
    return { status: 200, headers: { 'X-Slack-Req-Id': randomBytes(16).toString('hex') }, body };
  }

  #argumentsOf(call, method) {
    if (call.method !== 'POST' && !(call.method === 'GET' && GET_TYPE.has(method))) return { error: 'invalid_http_method' };
    if (call.method === 'GET') return { args: Object.fromEntries(call.query) };
    const type = call.headers['content-type'] ?? '';
    const text = call.body.toString('utf8');
    if (/^application\/x-www-form-urlencoded\b/.test(type)) {
      const args = Object.fromEntries(new URLSearchParams(text));
      for (const name of ['blocks', 'metadata', 'view', 'attachments'])
        if (args[name] !== undefined) {
          try {
            args[name] = JSON.parse(args[name]);
          } catch {
            return { error: name === 'blocks' ? 'invalid_blocks_format' : 'invalid_arguments' };
          }
        }
      return { args };
    }
    if (!/^application\/json\b/.test(type)) return { error: type === '' ? 'missing_post_type' : 'invalid_post_type' };
    const warning = /charset=/i.test(type) ? undefined : 'missing_charset';
    if (NO_JSON.has(method) || method === 'conversations.history')
      return { error: 'invalid_arguments', messages: ['[ERROR] missing required field: (JSON bodies are not read by this method)'] };
    try {
      const args = JSON.parse(text);
      if (typeof args !== 'object' || args === null || Array.isArray(args)) return { error: 'json_not_object' };
      if (!Buffer.from(text, 'utf8').equals(call.body)) return { error: 'invalid_json' };
      return { args, warning };
    } catch {
      return { error: 'invalid_json' };
    }
  }

  #perform(call, method, args) {
    if (method === 'apps.connections.open') return this.socket ? this.socket.open(call, args) : { ok: false, error: 'socket_mode_not_enabled' };
    const authorization = call.headers.authorization ?? (args.token ? `Bearer ${args.token}` : undefined);
    if (!authorization) return { ok: false, error: 'not_authed' };
    if (authorization !== `Bearer ${this.token}`) return { ok: false, error: 'invalid_auth' };
    const act = this.#methods[method];
    return act ? act(args) : { ok: false, error: 'unknown_method' };
  }

  #methods = {
    'auth.test': () => ({ ...copy(shapes.auth), team_id: this.team, user_id: this.bot, bot_id: this.botId }),
    'chat.postMessage': (args) => this.#post(args),
    'chat.update': (args) => this.#update(args),
    'chat.postEphemeral': (args) => this.#postEphemeral(args),
    'conversations.history': (args) => this.#history(args),
    'conversations.replies': (args) => this.#replies(args),
    'conversations.open': (args) => {
      if (!this.users.has(args.users)) return { ok: false, error: 'user_not_found' };
      const answer = copy(shapes.open);
      answer.channel = { ...answer.channel, id: this.#direct(args.users).id, user: args.users };
      return answer;
    },
    'users.info': (args) => {
      const user = this.users.get(args.user);
      return user ? { ok: true, user: { id: user.id, team_id: this.team, name: user.name, deleted: false, is_bot: false } } : { ok: false, error: 'user_not_found' };
    },
    'views.open': (args) => this.#openView(args),
    'views.publish': (args) => this.#publish(args),
  };

  #direct(user) {
    const id = `D${user.slice(1)}`;
    if (!this.channels.has(id)) this.addChannel(id, { name: 'directmessage' });
    return this.channels.get(id);
  }

  #place(id) {
    if (typeof id === 'string' && /^[UW]/.test(id) && this.users.has(id)) return { channel: this.#direct(id) };
    const channel = this.channels.get(id);
    if (!channel) return { error: 'channel_not_found' };
    if (!channel.member) return { error: 'not_in_channel' };
    return channel.archived ? { error: 'is_archived' } : { channel };
  }

  nextTs() {
    const now = Date.now() * 1000;
    this.#micros = Math.max(now, this.#micros + 1);
    return `${Math.floor(this.#micros / 1e6)}.${String(this.#micros % 1e6).padStart(6, '0')}`;
  }

  // What a message may be; null: it may.
  #refuseContent(args, forUpdate) {
    const bad = (error, messages) => ({ ok: false, error, ...(messages && { errors: messages, response_metadata: { messages } }) });
    if (typeof args.channel !== 'string') return bad('invalid_arguments', ['[ERROR] missing required field: channel']);
    for (const name of Object.keys(args))
      if (!POST_ARGUMENTS.includes(name) && !['token', 'ts', 'user', 'as_user'].includes(name)) return bad('invalid_arguments', [`[ERROR] unknown argument: ${name}`]);
    if (args.blocks !== undefined && !Array.isArray(args.blocks)) return bad('invalid_blocks_format');
    if (typeof args.text !== 'string' || args.text.trim() === '') return bad('no_text'); // screen readers read nothing else
    if (args.text.length > (forUpdate ? 4000 : 40000)) return bad('msg_too_long');
    if (!args.blocks?.length && args.text.length >= 4041) return bad('msg_too_long'); // Slack would split it
    const messages = args.blocks ? checkBlocks(args.blocks) : [];
    if (messages.length) return bad('invalid_blocks', messages);
    if (args.blocks && JSON.stringify(args.blocks).length > 100000) return bad('msg_blocks_too_long');
    return this.#refuseMetadata(args.metadata, bad);
  }

  #refuseMetadata(metadata, bad) {
    if (metadata === undefined || Object.keys(metadata).length === 0) return null;
    if (typeof metadata.event_type !== 'string' || typeof metadata.event_payload !== 'object' || metadata.event_payload === null) return bad('invalid_metadata_format');
    const flat = Object.values(metadata.event_payload).every((v) => typeof v !== 'object' || Array.isArray(v) || Object.values(v ?? {}).every((x) => typeof x !== 'object'));
    if (!flat) return bad('invalid_metadata_schema');
    return JSON.stringify(metadata).length > 1024 ? bad('metadata_too_large') : null;
  }

  #notice(message) {
    for (const [where, text] of [['text', message.text], ...markups(message.blocks)]) {
      const bad = badMarkup(text);
      if (bad) this.complaints.push(`${where} holds a bare ${bad}: ${text.slice(0, 200)}`);
    }
  }

  #post(args) {
    const refused = this.#refuseContent(args, false);
    if (refused) return refused;
    const { channel, error } = this.#place(args.channel);
    if (error) return { ok: false, error };
    if (args.thread_ts !== undefined) {
      const parent = channel.messages.find((m) => m.ts === args.thread_ts);
      if (!parent) return { ok: false, error: 'thread_not_found' };
      if (parent.thread_ts && parent.thread_ts !== parent.ts) return { ok: false, error: 'cannot_reply_to_message' };
    }
    const message = {
      type: 'message', user: this.bot, bot_id: this.botId, app_id: this.app, team: this.team, ts: this.nextTs(),
      text: args.text, blocks: withIds(args.blocks), channel: channel.id, at: Date.now(), edits: [],
      ...(args.thread_ts && { thread_ts: args.thread_ts }),
      ...(/^[A-Za-z0-9_]+$/.test(args.metadata?.event_type ?? '') && { metadata: copy(args.metadata) }), // others are dropped silently
    };
    if (args.thread_ts) channel.messages.find((m) => m.ts === args.thread_ts).thread_ts = args.thread_ts;
    channel.messages.push(message);
    this.#notice(message);
    const answer = copy(shapes.post);
    const { attachments, username, subtype, ...recorded } = answer.message;
    return { ...answer, channel: channel.id, ts: message.ts, message: { ...recorded, ...publicOf(message, true) } };
  }

  #update(args) {
    const refused = this.#refuseContent(args, true);
    if (refused) return refused;
    if (/^[UW]/.test(args.channel)) return { ok: false, error: 'channel_not_found' }; // D id, not U id
    const { channel, error } = this.#place(args.channel);
    if (error) return { ok: false, error };
    const message = channel.messages.find((m) => m.ts === args.ts);
    if (!message) return { ok: false, error: 'message_not_found' };
    if (message.bot_id !== this.botId) return { ok: false, error: 'cant_update_message' };
    const before = { text: message.text, blocks: message.blocks, at: Date.now() };
    message.text = args.text;
    message.blocks = withIds(args.blocks ?? []); // a text without blocks takes the buttons away
    if (args.metadata !== undefined) message.metadata = Object.keys(args.metadata).length ? copy(args.metadata) : undefined;
    message.edits.push(before);
    const old = new Map((before.blocks ?? []).map((b) => [b.block_id, JSON.stringify(b)]));
    for (const b of args.blocks ?? [])
      if (b.block_id && old.has(b.block_id) && old.get(b.block_id) !== JSON.stringify(withIds([b])[0])) this.complaints.push(`an edit changed block ${b.block_id} under its old block_id`);
    this.#notice(message);
    return { ok: true, channel: channel.id, ts: message.ts, text: message.text, message: publicOf(message, true) };
  }

  #postEphemeral(args) {
    const refused = this.#refuseContent({ ...args, metadata: undefined }, false);
    if (refused) return refused;
    if (args.metadata !== undefined) return { ok: false, error: 'invalid_arguments' };
    const { channel, error } = this.#place(args.channel);
    if (error) return { ok: false, error };
    if (!this.users.has(args.user)) return { ok: false, error: 'user_not_in_channel' };
    const message = { channel: channel.id, user: args.user, text: args.text, blocks: args.blocks, thread_ts: args.thread_ts, ts: this.nextTs(), at: Date.now() };
    this.ephemerals.push(message);
    this.#notice(message);
    return { ok: true, message_ts: message.ts };
  }

  #history(args) {
    const { channel, error } = this.#place(args.channel);
    if (error) return { ok: false, error };
    return this.#page(channel.messages.filter((m) => !m.thread_ts || m.thread_ts === m.ts).reverse(), args);
  }

  #replies(args) {
    const { channel, error } = this.#place(args.channel);
    if (error) return { ok: false, error };
    if (!channel.messages.some((m) => m.ts === args.ts)) return { ok: false, error: 'thread_not_found' };
    return this.#page(channel.messages.filter((m) => m.ts === args.ts || m.thread_ts === args.ts), args);
  }

  #page(messages, args) {
    const limit = Number(args.limit ?? 15);
    if (!(limit >= 1 && limit <= 15)) return { ok: false, error: 'invalid_limit' }; // what apps outside the Marketplace get
    const oldest = Number(args.oldest ?? 0);
    const inside = messages.filter((m) => Number(m.ts) > oldest || m.ts === args.ts);
    return { ok: true, messages: inside.slice(0, limit).map((m) => publicOf(m, args.include_all_metadata === 'true')), has_more: inside.length > limit };
  }

  #openView(args) {
    const trigger = this.#triggers.get(args.trigger_id);
    if (!trigger) return { ok: false, error: 'invalid_trigger_id' };
    if (trigger.used) return { ok: false, error: 'exchanged_trigger_id' };
    if (Date.now() - trigger.at > this.triggerLife) return { ok: false, error: 'expired_trigger_id' };
    const messages = checkView(args.view);
    if (messages.length) return { ok: false, error: 'invalid_arguments', response_metadata: { messages } };
    if (JSON.stringify(args.view).length > 250000) return { ok: false, error: 'view_too_large' };
    trigger.used = true;
    const view = { id: `V${randomBytes(6).toString('hex').toUpperCase()}`, hash: `${Date.now()}.${randomBytes(4).toString('hex')}`, user: trigger.user, trigger: args.trigger_id, view: { ...copy(args.view), blocks: withIds(args.view.blocks) }, open: true, errors: null };
    this.views.push(view);
    return { ok: true, view: { id: view.id, team_id: this.team, hash: view.hash, app_id: this.app, bot_id: this.botId, root_view_id: view.id, previous_view_id: null, ...view.view } };
  }

  // A view's hash guards against a race: an older one does not replace a newer.
  #publish(args) {
    if (!this.users.has(args.user_id)) return { ok: false, error: 'invalid_arguments', response_metadata: { messages: ['[ERROR] user_not_found'] } };
    const messages = checkHome(args.view);
    if (messages.length) return { ok: false, error: 'invalid_arguments', response_metadata: { messages } };
    if (JSON.stringify(args.view).length > 250000) return { ok: false, error: 'view_too_large' };
    const before = this.homes.get(args.user_id);
    if (args.hash !== undefined && before && args.hash !== before.hash) return { ok: false, error: 'hash_conflict' };
    const home = { id: before?.id ?? `V${randomBytes(6).toString('hex').toUpperCase()}`, hash: `${Date.now()}.${randomBytes(4).toString('hex')}`, blocks: withIds(args.view.blocks), published: (before?.published ?? 0) + 1 };
    this.homes.set(args.user_id, home);
    this.#notice({ text: '', blocks: home.blocks });
    return { ok: true, view: { id: home.id, team_id: this.team, type: 'home', hash: home.hash, app_id: this.app, bot_id: this.botId, blocks: home.blocks } };
  }

  // ---- what people see -----------------------------------------------------------------------

  messages(channel) {
    return this.channels.get(channel)?.messages ?? [];
  }

  thread(channel, ts) {
    return this.messages(channel).filter((m) => m.ts === ts || m.thread_ts === ts);
  }

  ours(channel) {
    return this.messages(channel).filter((m) => m.bot_id === this.botId);
  }

  words(message) {
    return `${message.text}\n${wordsOf(message.blocks)}`;
  }

  pings(message) {
    return pings(message);
  }

  buttons(message) {
    return (message.blocks ?? []).filter((b) => b.type === 'actions').flatMap((b) => b.elements.flatMap((e) => (e.type === 'button' ? [e.text.text] : e.options.map((o) => o.text.text))));
  }

  // ---- the sending side ----------------------------------------------------------------------

  // base: the gateway's address; name: the channel's configured name, or nothing for the short path.
  connect(base, name) {
    this.gateway = name ? `${base}/slack/${name}` : `${base}/slack`;
  }

  sign(body, { secret = this.signingSecret, at = Math.floor(Date.now() / 1000) } = {}) {
    return {
      'X-Slack-Request-Timestamp': String(at),
      'X-Slack-Signature': `v0=${createHmac('sha256', secret).update(`v0:${at}:`).update(body).digest('hex')}`,
    };
  }

  // One signed request; → {status, body, ms}, or {error}. With Socket Mode Slack calls nobody: the
  // same goes over a connection (but for what a forger sends).
  async post(path, body, { contentType = 'application/json', headers = {}, ...how } = {}) {
    if (this.socket && !how.secret && !how.at) return this.socket.post(path, body, { headers });
    const begin = Date.now();
    try {
      const answer = await fetch(`${this.gateway}${path}`, {
        method: 'POST', body, signal: AbortSignal.timeout(10000),
        headers: { 'Content-Type': contentType, 'User-Agent': 'Slackbot 1.0 (+https://api.slack.com/robots)', ...this.sign(body, how), ...headers },
      });
      return { status: answer.status, body: await answer.text(), ms: Date.now() - begin, type: answer.headers.get('content-type') };
    } catch (error) {
      return { error, ms: Date.now() - begin };
    }
  }

  envelope(event, kind) {
    const shape = copy(kind === 'app_mention' ? shapes.mention : shapes.message);
    return {
      ...shape, team_id: this.team, api_app_id: this.app, event: { ...shape.event, ...event },
      event_id: `Ev${String(++this.#events).padStart(4, '0')}${randomBytes(4).toString('hex').toUpperCase()}`,
      event_time: Math.floor(Date.now() / 1000), authed_users: undefined,
      authorizations: [{ enterprise_id: null, team_id: this.team, user_id: this.bot, is_bot: true, is_enterprise_install: false }],
    };
  }

  // Sends one event as Slack does: again on anything but a 2xx within 3 s, at most three times more.
  async deliver(envelope) {
    for (let attempt = 0; attempt <= this.retryDelays.length; attempt++) {
      if (attempt > 0) await sleep(this.retryDelays[attempt - 1]);
      const headers = attempt > 0 ? { 'X-Slack-Retry-Num': String(attempt), 'X-Slack-Retry-Reason': 'http_error' } : {};
      const answer = await this.post('/events', JSON.stringify(envelope), { headers });
      this.deliveries.push({ event_id: envelope.event_id, attempt, status: answer.status, ms: answer.ms });
      if (answer.status >= 200 && answer.status < 300 && answer.ms <= 3000) return answer;
    }
    return null;
  }

  #spawn(work) {
    this.#sending.add(work);
    work.finally(() => this.#sending.delete(work)).catch(() => {});
    return work;
  }

  // A person writes. A mention goes out twice, as app_mention and as message, under two event ids.
  // `raw`: the text is Slack's own markup already, else it is what was typed.
  async say({ user, channel, text, thread_ts, mention = false, raw = false, copies = 1 }) {
    const place = channel.startsWith('D') ? this.#direct(user) : this.channels.get(channel);
    const typed = `${mention ? `<@${this.bot}> ` : ''}${raw ? text : escapeText(text)}`;
    const message = { type: 'message', user, team: this.team, ts: this.nextTs(), text: typed, channel: place.id, at: Date.now(), edits: [], client_msg_id: randomBytes(8).toString('hex'), ...(thread_ts && { thread_ts }) };
    place.messages.push(message);
    const { at, edits, ...event } = message;
    event.event_ts = message.ts;
    event.blocks = [{ type: 'rich_text', block_id: 'b1', elements: [{ type: 'rich_text_section', elements: [{ type: 'text', text }] }] }];
    const envelopes = [this.envelope({ ...event, type: 'message', channel_type: place.id.startsWith('D') ? 'im' : 'channel' }, 'message')];
    if (mention) {
      const { channel_type, ...without } = event;
      envelopes.unshift(this.envelope({ ...without, type: 'app_mention' }, 'app_mention'));
    }
    const sent = [];
    for (let i = 0; i < copies; i++) for (const e of envelopes) sent.push(this.#spawn(this.deliver(e)));
    await Promise.all(sent);
    return message;
  }

  #newTrigger(user) {
    const id = `${Date.now()}.${randomBytes(4).readUInt32BE()}.${randomBytes(16).toString('hex')}`;
    this.#triggers.set(id, { user, at: Date.now(), used: false });
    return id;
  }

  // `what`: the label, the action_id, or the option's label. It must be on the card as it is now.
  find(message, what) {
    for (const block of message.blocks ?? []) {
      if (block.type !== 'actions') continue;
      for (const e of block.elements) {
        if (e.type === 'button' && (e.text.text === what || e.action_id === what)) return { block, element: e };
        const option = e.type === 'static_select' && e.options.find((o) => o.text.text === what);
        if (option) return { block, element: e, option };
      }
    }
    throw new Error(`there is no ${what} on this message: ${this.words(message).slice(0, 300)}`);
  }

  // stale: a version of the card that somebody still has on the screen.
  async click({ user, message, what, stale, trigger }) {
    const shown = stale ?? message;
    const { block, element, option } = this.find(shown, what);
    const ts = this.nextTs();
    const payload = {
      ...copy(shapes.click), team: { id: this.team, domain: 'acme' }, user: { id: user, username: user.toLowerCase(), name: user.toLowerCase(), team_id: this.team },
      api_app_id: this.app, container: { type: 'message', message_ts: message.ts, channel_id: message.channel, is_ephemeral: false, ...(message.thread_ts && { thread_ts: message.thread_ts }) },
      trigger_id: trigger ?? this.#newTrigger(user), channel: { id: message.channel, name: this.channels.get(message.channel).name },
      message: publicOf({ ...message, blocks: shown.blocks }, true), state: { values: {} }, enterprise: null, is_enterprise_install: false,
      response_url: `${this.url}/response/${randomBytes(8).toString('hex')}`,
      actions: [{
        type: element.type, action_id: element.action_id, block_id: block.block_id, action_ts: ts,
        ...(element.type === 'button' ? { text: element.text, value: element.value, ...(element.style && { style: element.style }) } : { selected_option: option }),
      }],
    };
    const answer = await this.interact(payload);
    if (answer.status === 200 && answer.body) this.complaints.push(`a click was answered with a body: ${answer.body.slice(0, 100)}`);
    return { ...answer, payload };
  }

  async interact(payload, how = {}) {
    const body = new URLSearchParams({ payload: JSON.stringify(payload) }).toString();
    const answer = await this.post('/interactions', body, { contentType: 'application/x-www-form-urlencoded', ...how });
    if (!how.secret && !how.at && (answer.status !== 200 || answer.ms > 3000)) this.complaints.push(`an interaction was answered ${answer.status} after ${answer.ms} ms: the person sees an error`);
    return answer;
  }

  // Opens our home tab: Slack tells of it with what it shows there now.
  openHome(user, { tab = 'home', hash } = {}) {
    const home = this.homes.get(user);
    const view = home && { id: home.id, team_id: this.team, type: 'home', hash: hash ?? home.hash, blocks: home.blocks };
    return this.deliver(this.envelope({ type: 'app_home_opened', user, channel: this.#direct(user).id, tab, event_ts: this.nextTs(), ...(view && { view }) }, 'message'));
  }

  // A click on the home tab: no channel, no message, no response_url.
  async clickHome(user, what) {
    const home = this.homes.get(user);
    const { block, element } = this.find(home, what);
    const payload = {
      type: 'block_actions', user: { id: user, username: user.toLowerCase(), name: user.toLowerCase(), team_id: this.team }, api_app_id: this.app, token: 'x',
      container: { type: 'view', view_id: home.id }, trigger_id: this.#newTrigger(user), team: { id: this.team, domain: 'acme' }, enterprise: null, is_enterprise_install: false,
      view: { id: home.id, type: 'home', hash: home.hash, blocks: home.blocks, private_metadata: '', callback_id: 'signoff_home', state: { values: {} } },
      actions: [{ type: 'button', action_id: element.action_id, block_id: block.block_id, text: element.text, value: element.value, action_ts: this.nextTs() }],
    };
    return { ...(await this.interact(payload)), payload };
  }

  // What Slack asks while somebody types into an external_select → the options that it may show.
  async search(view, value) {
    const block = view.view.blocks.find((b) => b.element?.type === 'external_select');
    const payload = {
      type: 'block_suggestion', user: { id: view.user, username: view.user.toLowerCase(), team_id: this.team }, team: { id: this.team, domain: 'acme' }, api_app_id: this.app, token: 'x',
      container: { type: 'view', view_id: view.id }, view: { ...view.view, id: view.id, hash: view.hash }, action_id: block.element.action_id, block_id: block.block_id, value,
    };
    const answer = await this.interact(payload);
    const found = JSON.parse(answer.body || 'null');
    for (const m of checkFound(found)) this.complaints.push(`options: ${m}`);
    return found.options;
  }

  // A slash command: its answer is seen by who typed it. → {text, blocks} or null.
  async command(user, command, text = '', { channel = 'C0DEPLOYS', ...how } = {}) {
    const form = { token: 'x', team_id: this.team, team_domain: 'acme', channel_id: channel, channel_name: 'deployments', user_id: user, user_name: user.toLowerCase(), command, text, api_app_id: this.app, is_enterprise_install: 'false', response_url: `${this.url}/response/x`, trigger_id: this.#newTrigger(user) };
    const answer = await this.post('/commands', new URLSearchParams(form).toString(), { contentType: 'application/x-www-form-urlencoded', ...how });
    if (answer.status !== 200 || answer.ms > 3000) this.complaints.push(`${command} was answered ${answer.status} after ${answer.ms} ms: the person sees operation_timeout`);
    if (!answer.body) return null;
    const message = JSON.parse(answer.body);
    if (!['ephemeral', 'in_channel', undefined].includes(message.response_type)) this.complaints.push(`response_type ${message.response_type}`);
    for (const m of message.blocks ? checkBlocks(message.blocks) : []) this.complaints.push(`${command}: ${m}`);
    this.#notice(message);
    return message;
  }

  // The message shortcut: on a message of somebody's.
  async shortcut(user, message, callback_id = 'signoff_ask') {
    const { at, edits, ...rest } = message;
    return this.interact({
      type: 'message_action', callback_id, token: 'x', action_ts: this.nextTs(), trigger_id: this.#newTrigger(user), team: { id: this.team, domain: 'acme' }, enterprise: null, is_enterprise_install: false,
      user: { id: user, username: user.toLowerCase(), team_id: this.team, name: user.toLowerCase() }, channel: { id: message.channel, name: this.channels.get(message.channel).name }, message_ts: message.ts, message: rest, response_url: `${this.url}/response/x`,
    });
  }

  // Fills in the modal; values: {block_id: text}. → {closed, errors}
  async submit(view, values) {
    if (!view.open) throw new Error('this modal is closed');
    const state = {};
    for (const block of view.view.blocks.filter((b) => b.type === 'input')) {
      const value = values[block.block_id] ?? block.element.initial_value ?? null;
      if (/select$/.test(block.element.type)) {
        const option = block.element.type === 'static_select' ? block.element.options.find((o) => o.value === value) ?? block.element.initial_option ?? null : value;
        state[block.block_id] = { [block.element.action_id]: { type: block.element.type, selected_option: option } };
        continue;
      }
      const { min_length: min = 0, max_length: max = 3000 } = block.element;
      if (value !== null && (value.length > max || value.length < min)) throw new Error(`Slack lets nobody type ${value.length} characters here (${min} to ${max})`);
      if (value === null && !block.optional) throw new Error('Slack sends no empty required field');
      state[block.block_id] = { [block.element.action_id]: { type: block.element.type, value } };
    }
    const payload = {
      ...copy(shapes.submission), team: { id: this.team, domain: 'acme' }, user: { id: view.user, username: view.user.toLowerCase(), name: view.user.toLowerCase(), team_id: this.team }, api_app_id: this.app,
      trigger_id: this.#newTrigger(view.user),
      view: { ...copy(shapes.submission.view), ...view.view, id: view.id, hash: view.hash, state: { values: state }, team_id: this.team, app_id: this.app, bot_id: this.botId, app_installed_team_id: this.team, root_view_id: view.id },
      is_enterprise_install: false, enterprise: null, response_urls: [],
    };
    const answer = await this.interact(payload);
    if (answer.body === '') view.open = false;
    else this.#readResponse(view, answer);
    return { closed: !view.open, errors: view.errors, payload };
  }

  #readResponse(view, answer) {
    let action;
    try {
      action = JSON.parse(answer.body);
    } catch { /* judged below */ }
    const inputs = view.view.blocks.filter((b) => b.type === 'input').map((b) => b.block_id);
    if (action?.response_action === 'errors' && Object.keys(action.errors ?? {}).length && Object.keys(action.errors).every((id) => inputs.includes(id))) view.errors = action.errors;
    else if (['update', 'clear'].includes(action?.response_action)) view.open = false;
    else this.complaints.push(`the modal shows "We had some trouble connecting": ${(answer.body ?? 'no answer').slice(0, 200)}`);
  }
}

function withIds(blocks) {
  return blocks?.map((b, i) => ({ block_id: b.block_id ?? `gen${i}${randomBytes(3).toString('hex')}`, ...copy(b) }));
}

function markups(blocks) {
  const out = [];
  const walk = (v) => {
    if (Array.isArray(v)) return v.forEach(walk);
    if (typeof v !== 'object' || v === null) return;
    if (v.type === 'mrkdwn') out.push(['mrkdwn', v.text]);
    else Object.values(v).forEach(walk);
  };
  walk(blocks ?? []);
  return out;
}

function publicOf(message, withMetadata) {
  const { at, edits, channel, metadata, ...rest } = message;
  return { ...copy(rest), ...(withMetadata && metadata && { metadata: copy(metadata) }) };
}
