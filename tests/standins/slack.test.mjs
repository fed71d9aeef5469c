import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { Slack } from './slack.mjs';

let slack, parent;
before(async () => {
  slack = await new Slack().start();
  slack.addChannel('C0DEPLOYS');
  slack.addChannel('C0PRIVATE', { member: false });
  slack.addChannel('C0OLD', { archived: true });
  slack.addUser('U0ALICE');
  parent = (await call('chat.postMessage', { channel: 'C0DEPLOYS', text: 'a beginning' })).ts;
});
after(() => slack.close());

async function call(method, args, { token = slack.token, type = 'application/json; charset=utf-8', http = 'POST', raw } = {}) {
  const form = type.startsWith('application/x-www-form-urlencoded');
  const answer = await fetch(`${slack.apiBase}/${method}`, {
    method: http,
    headers: { ...(token && { Authorization: `Bearer ${token}` }), ...(type && { 'Content-Type': type }) },
    body: http === 'GET' ? undefined : raw ?? (form ? new URLSearchParams(args).toString() : JSON.stringify(args)),
  });
  return answer.json();
}
const post = (more, how) => call('chat.postMessage', { channel: 'C0DEPLOYS', text: 'words', ...more }, how);
const blocks = (...list) => post({ blocks: list });
const section = (text, more) => ({ type: 'section', text: { type: 'mrkdwn', text, ...more } });
const button = (more = {}) => ({ type: 'button', action_id: 'a', text: { type: 'plain_text', text: 'Go' }, value: 'v', ...more });
const actions = (...elements) => ({ type: 'actions', elements });

const refusals = [
  ['no token', () => post({}, { token: null }), 'not_authed'],
  ['another token', () => post({}, { token: 'xoxb-other' }), 'invalid_auth'],
  ['a method that is not there', () => call('chat.shout', {}), 'unknown_method'],
  ['GET where POST is needed', () => call('chat.postMessage', {}, { http: 'GET' }), 'invalid_http_method'],
  ['text/plain', () => post({}, { type: 'text/plain' }), 'invalid_post_type'],
  ['cut JSON', () => post({}, { raw: '{"channel":' }), 'invalid_json'],
  ['JSON that is a list', () => post({}, { raw: '[]' }), 'json_not_object'],
  ['JSON that is not UTF-8', () => post({}, { raw: Buffer.concat([Buffer.from('{"channel":"C0DEPLOYS","text":"'), Buffer.from([0xff]), Buffer.from('"}')]) }), 'invalid_json'],
  ['JSON to a method that reads forms', () => call('conversations.replies', { channel: 'C0DEPLOYS', ts: '1.1' }), 'invalid_arguments'],
  ['JSON to conversations.history', () => call('conversations.history', { channel: 'C0DEPLOYS' }), 'invalid_arguments'],
  ['an argument that does not exist', () => post({ chanel: 'x' }), 'invalid_arguments'],
  ['an unknown channel', () => post({ channel: 'C0NOWHERE' }), 'channel_not_found'],
  ['a channel that the app is not in', () => post({ channel: 'C0PRIVATE' }), 'not_in_channel'],
  ['an archived channel', () => post({ channel: 'C0OLD' }), 'is_archived'],
  ['no text', () => post({ text: undefined }), 'no_text'],
  ['blank text beside blocks', () => post({ text: ' ', blocks: [section('x')] }), 'no_text'],
  ['a text that Slack would split', () => post({ text: 'x'.repeat(4041) }), 'msg_too_long'],
  ['a thread that is not there', () => post({ thread_ts: '1.000001' }), 'thread_not_found'],
  ['nested metadata', () => post({ metadata: { event_type: 'x', event_payload: { a: { b: { c: 1 } } } } }), 'invalid_metadata_schema'],
  ['much metadata', () => post({ metadata: { event_type: 'x', event_payload: { a: 'x'.repeat(1100) } } }), 'metadata_too_large'],
  ['blocks as a text', () => post({ blocks: '[]' }), 'invalid_blocks_format'],
  ['51 blocks', () => blocks(...Array(51).fill(section('x'))), 'invalid_blocks', /no more than 50/],
  ['a section of 3001 characters', () => blocks(section('x'.repeat(3001))), 'invalid_blocks', /less than 3001.*\/blocks\/0\/text\/text/],
  ['an empty section', () => blocks(section('')), 'invalid_blocks', /more than 0/],
  ['a section without text', () => blocks({ type: 'section' }), 'invalid_blocks', /fields` or `text/],
  ['eleven fields', () => blocks({ type: 'section', fields: Array(11).fill({ type: 'mrkdwn', text: 'x' }) }), 'invalid_blocks', /no more than 10/],
  ['a long field', () => blocks({ type: 'section', fields: [{ type: 'mrkdwn', text: 'x'.repeat(2001) }] }), 'invalid_blocks', /less than 2001/],
  ['a header in mrkdwn', () => blocks({ type: 'header', text: { type: 'mrkdwn', text: 'x' } }), 'invalid_blocks', /plain_text/],
  ['a long header', () => blocks({ type: 'header', text: { type: 'plain_text', text: 'x'.repeat(151) } }), 'invalid_blocks', /less than 151/],
  ['verbatim in plain_text', () => blocks({ type: 'header', text: { type: 'plain_text', text: 'x', verbatim: true } }), 'invalid_blocks', /additional property: verbatim/],
  ['emoji in mrkdwn', () => blocks(section('x', { emoji: false })), 'invalid_blocks', /additional property: emoji/],
  ['eleven context elements', () => blocks({ type: 'context', elements: Array(11).fill({ type: 'mrkdwn', text: 'x' }) }), 'invalid_blocks', /no more than 10/],
  ['an empty context', () => blocks({ type: 'context', elements: [] }), 'invalid_blocks', /at least 1/],
  ['26 buttons', () => blocks(actions(...Array.from({ length: 26 }, (_, i) => button({ action_id: `a${i}` })))), 'invalid_blocks', /no more than 25/],
  ['a long button', () => blocks(actions(button({ text: { type: 'plain_text', text: 'x'.repeat(76) } }))), 'invalid_blocks', /less than 76/],
  ['a button in mrkdwn', () => blocks(actions(button({ text: { type: 'mrkdwn', text: 'x' } }))), 'invalid_blocks', /plain_text/],
  ['a long value', () => blocks(actions(button({ value: 'x'.repeat(2001) }))), 'invalid_blocks', /less than 2001/],
  ['a long accessibility label', () => blocks(actions(button({ accessibility_label: 'x'.repeat(76) }))), 'invalid_blocks', /less than 76/],
  ['a strange style', () => blocks(actions(button({ style: 'default' }))), 'invalid_blocks', /primary or danger/],
  ['two primary buttons', () => blocks(actions(button({ style: 'primary' }), button({ action_id: 'b', style: 'primary' }))), 'invalid_blocks', /one primary/],
  ['one action_id twice', () => blocks(actions(button(), button())), 'invalid_blocks', /unique within its block/],
  ['one block_id twice', () => blocks({ ...section('x'), block_id: 'b' }, { ...section('y'), block_id: 'b' }), 'invalid_blocks', /already exists/],
  ['a long block_id', () => blocks({ ...section('x'), block_id: 'x'.repeat(256) }), 'invalid_blocks', /less than 256/],
  ['a long confirmation', () => blocks(actions(button({ confirm: { title: { type: 'plain_text', text: 'x'.repeat(101) }, text: { type: 'plain_text', text: 'x' }, confirm: { type: 'plain_text', text: 'y' }, deny: { type: 'plain_text', text: 'n' } } }))), 'invalid_blocks', /less than 101/],
  ['101 options', () => blocks(actions({ type: 'static_select', action_id: 's', options: Array.from({ length: 101 }, (_, i) => ({ text: { type: 'plain_text', text: 'x' }, value: `${i}` })) })), 'invalid_blocks', /no more than 100/],
  ['a long option', () => blocks(actions({ type: 'static_select', options: [{ text: { type: 'plain_text', text: 'x'.repeat(76) }, value: 'v' }] })), 'invalid_blocks', /less than 76/],
  ['an unknown block', () => blocks({ type: 'card' }), 'invalid_blocks', /unsupported type: card/],
  ['an input in a message', () => blocks({ type: 'input', label: { type: 'plain_text', text: 'x' }, element: { type: 'plain_text_input' } }), 'invalid_blocks', /unsupported type: input/],
  ['an unknown member', () => blocks({ ...section('x'), colour: 'red' }), 'invalid_blocks', /additional property: colour/],
  ['an edit of nothing', () => call('chat.update', { channel: 'C0DEPLOYS', ts: '1.000001', text: 'x' }), 'message_not_found'],
  ['an edit that is too long', () => call('chat.update', { channel: 'C0DEPLOYS', ts: parent, text: 'x'.repeat(4001) }), 'msg_too_long'],
  ['an edit by a user id', () => call('chat.update', { channel: 'U0ALICE', ts: parent, text: 'x' }), 'channel_not_found'],
  ['an ephemeral line for nobody', () => call('chat.postEphemeral', { channel: 'C0DEPLOYS', user: 'U0NOBODY', text: 'x' }), 'user_not_in_channel'],
  ['a modal without a trigger', () => call('views.open', { trigger_id: 'x', view: {} }), 'invalid_trigger_id'],
  ['a look-back of more than 15', () => call('conversations.history', { channel: 'C0DEPLOYS', limit: '16' }, { type: 'application/x-www-form-urlencoded' }), 'invalid_limit'],
];

for (const [name, ask, error, message] of refusals)
  test(`Slack refuses ${name}: ${error}`, async () => {
    const answer = await ask();
    assert.deepEqual([answer.ok, answer.error], [false, error], JSON.stringify(answer));
    if (message) assert.match(answer.response_metadata.messages.join('\n'), message);
  });

test('a missing charset is warned of, and the call is performed', async () => {
  const answer = await post({}, { type: 'application/json' });
  assert.equal(answer.ok, true);
  assert.equal(answer.warning, 'missing_charset');
});

test('every message has a ts of its own, and an edit replaces the blocks', async () => {
  const many = await Promise.all(Array.from({ length: 20 }, () => post({ blocks: [actions(button())] })));
  assert.equal(new Set(many.map((m) => m.ts)).size, 20);
  await call('chat.update', { channel: 'C0DEPLOYS', ts: many[0].ts, text: 'decided' });
  const message = slack.messages('C0DEPLOYS').find((m) => m.ts === many[0].ts);
  assert.deepEqual(message.blocks, []);
  assert.equal(message.edits.length, 1);
  assert.throws(() => slack.find(message, 'Go'), /there is no Go/);
});

test("only the app's own messages may be edited, and a reply has no thread of its own", async () => {
  const theirs = slack.messages('C0DEPLOYS').length;
  slack.messages('C0DEPLOYS').push({ ts: slack.nextTs(), user: 'U0ALICE', text: 'hers', channel: 'C0DEPLOYS', edits: [] });
  const hers = slack.messages('C0DEPLOYS')[theirs];
  assert.equal((await call('chat.update', { channel: 'C0DEPLOYS', ts: hers.ts, text: 'x' })).error, 'cant_update_message');
  const reply = await post({ thread_ts: parent });
  assert.equal((await post({ thread_ts: reply.ts })).error, 'cannot_reply_to_message');
});

test('metadata comes back only when all of it is asked for', async () => {
  const { ts } = await post({ metadata: { event_type: 'signoff_message', event_payload: { id: 'd_1' } } });
  const form = { type: 'application/x-www-form-urlencoded' };
  const look = async (more) => (await call('conversations.history', { channel: 'C0DEPLOYS', limit: '15', ...more }, form)).messages.find((m) => m.ts === ts);
  assert.equal((await look({})).metadata, undefined);
  assert.equal((await look({ include_all_metadata: 'true' })).metadata.event_payload.id, 'd_1');
  const dotted = await post({ metadata: { event_type: 'a.b', event_payload: {} } });
  assert.equal(dotted.message.metadata, undefined);
});

test('a trigger opens one modal, within three seconds, if the modal is well made', async () => {
  const heard = [];
  const app = createServer((req, res) => {
    heard.push(req.url);
    req.resume().on('end', () => res.end());
  });
  await new Promise((ready) => app.listen(0, '127.0.0.1', ready));
  slack.connect(`http://127.0.0.1:${app.address().port}`);
  const { ts } = await post({ blocks: [actions(button({ text: { type: 'plain_text', text: 'Reject' } }))] });
  const message = slack.messages('C0DEPLOYS').find((m) => m.ts === ts);
  const trigger = async () => (await slack.click({ user: 'U0ALICE', message, what: 'Reject' })).payload.trigger_id;
  const input = { type: 'input', block_id: 'reason', label: { type: 'plain_text', text: 'Why?' }, element: { type: 'plain_text_input', action_id: 'text' } };
  const view = { type: 'modal', title: { type: 'plain_text', text: 'Reject' }, submit: { type: 'plain_text', text: 'Reject' }, blocks: [input] };
  const bad = [
    [{ ...view, title: { type: 'plain_text', text: 'x'.repeat(25) } }, /less than 25/],
    [{ ...view, submit: undefined }, /missing required field: submit/],
    [{ ...view, private_metadata: 'x'.repeat(3001) }, /less than 3001/],
    [{ ...view, type: 'dialog' }, /must be modal/],
    [{ ...view, blocks: [{ ...input, element: { ...input.element, min_length: 3001 } }] }, /from 0 to 3000/],
  ];
  const id = await trigger();
  for (const [v, why] of bad) assert.match((await call('views.open', { trigger_id: id, view: v })).response_metadata.messages.join(), why);
  assert.equal((await call('views.open', { trigger_id: id, view })).ok, true);
  assert.equal((await call('views.open', { trigger_id: id, view })).error, 'exchanged_trigger_id');
  slack.triggerLife = -1;
  assert.equal((await call('views.open', { trigger_id: await trigger(), view })).error, 'expired_trigger_id');
  slack.triggerLife = 3000;
  const open = slack.views.at(-1);
  await assert.rejects(slack.submit(open, {}), /no empty required field/);
  assert.deepEqual((await slack.submit(open, { reason: 'no' })).closed, true);
  assert.deepEqual([...new Set(heard)], ['/slack/interactions']);
  app.close();
});

test('a modal that is answered with a body other than Slack knows is a complaint', async () => {
  const app = createServer((req, res) => req.resume().on('end', () => res.end('{"ok":true}')));
  await new Promise((ready) => app.listen(0, '127.0.0.1', ready));
  slack.connect(`http://127.0.0.1:${app.address().port}`);
  const view = { user: 'U0ALICE', id: 'V1', hash: '1', open: true, view: { type: 'modal', blocks: [{ type: 'input', block_id: 'reason', element: { type: 'plain_text_input', action_id: 'text' } }] } };
  assert.equal((await slack.submit(view, { reason: 'x' })).closed, false);
  assert.match(slack.complaints.join(), /trouble connecting/);
  slack.complaints = [];
  app.close();
});

test('an event is sent again under its id until it is taken, and a mention under two ids', async () => {
  let number = 0;
  const app = createServer((req, res) => req.resume().on('end', () => {
    res.statusCode = number++ === 0 ? 500 : 200;
    res.end();
  }));
  await new Promise((ready) => app.listen(0, '127.0.0.1', ready));
  slack.connect(`http://127.0.0.1:${app.address().port}`);
  slack.deliveries = [];
  await slack.say({ user: 'U0ALICE', channel: 'C0DEPLOYS', text: 'deploy', mention: true });
  assert.equal(slack.deliveries.length, 3);
  assert.equal(new Set(slack.deliveries.map((d) => d.event_id)).size, 2);
  assert.deepEqual(slack.deliveries.filter((d) => d.attempt === 1).map((d) => d.status), [200]);
  app.close();
});

test('bare control sequences in a text are complained of; pings are found', async () => {
  slack.complaints = [];
  await post({ text: 'a < b' });
  assert.equal(slack.complaints.length, 1);
  const { ts } = await post({ text: '<!channel> <@U0ALICE>', blocks: [section('@here', {}), section('@here', { verbatim: true })] });
  assert.deepEqual(slack.pings(slack.messages('C0DEPLOYS').find((m) => m.ts === ts)), ['<!channel>', '<@U0ALICE>', '@here']);
  slack.complaints = [];
});

test('it fails as it is told: 429, 500, a cut before and after acting', async () => {
  const count = () => slack.messages('C0DEPLOYS').length;
  const raw = () => fetch(`${slack.apiBase}/chat.postMessage`, { method: 'POST', headers: { Authorization: `Bearer ${slack.token}`, 'Content-Type': 'application/json; charset=utf-8' }, body: '{"channel":"C0DEPLOYS","text":"x"}' });
  const before = count();
  slack.fail('chat.postMessage', { status: 429, retryAfter: 1 });
  const slow = await raw();
  assert.deepEqual([slow.status, slow.headers.get('retry-after'), await slow.json()], [429, '1', { ok: false, error: 'ratelimited' }]);
  slack.fail(/^chat\./, { status: 500 });
  assert.equal((await raw()).status, 500);
  slack.fail('chat.postMessage', { cut: 'before' });
  await assert.rejects(raw());
  assert.equal(count(), before);
  slack.fail('chat.postMessage', { cut: 'after' });
  await assert.rejects(raw());
  assert.equal(count(), before + 1);
  assert.equal((await raw()).status, 200);
});
