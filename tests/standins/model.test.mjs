import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Model, whyNotStrict } from './model.mjs';

let model;
before(async () => {
  model = await new Model().start();
});
after(() => model.close());

const good = { model: 'gpt-4o', messages: [{ role: 'system', content: 'You are.' }, { role: 'user', content: 'Hello' }] };
async function ask(body, { key = model.key, type = 'application/json', path = '/chat/completions' } = {}) {
  const answer = await fetch(model.baseUrl + path, { method: 'POST', headers: { ...(key && { Authorization: `Bearer ${key}` }), 'Content-Type': type }, body: typeof body === 'string' ? body : JSON.stringify(body) });
  return { status: answer.status, body: await answer.json() };
}
const format = (json_schema) => ({ ...good, response_format: { type: 'json_schema', json_schema } });
const branch = (name, more = {}, required = ['intent']) => ({ type: 'object', properties: { intent: { type: 'string', const: name }, ...more }, required: [...required, ...Object.keys(more)], additionalProperties: false });
const strict = (...anyOf) => ({ type: 'object', properties: { step: { anyOf } }, required: ['step'], additionalProperties: false });

const refusals = [
  ['no key', () => ask(good, { key: null }), 401],
  ['another key', () => ask(good, { key: 'sk-other' }), 401],
  ['another path', () => ask(good, { path: '/completions' }), 404],
  ['another content type', () => ask(good, { type: 'text/plain' }), 400],
  ['cut JSON', () => ask('{"model":'), 400],
  ['an unknown member', () => ask({ ...good, max_output_tokens: 5 }), 400],
  ['no model', () => ask({ ...good, model: undefined }), 400],
  ['another model', () => ask({ ...good, model: 'gpt-9' }), 404],
  ['no messages', () => ask({ ...good, messages: [] }), 400],
  ['an unknown role', () => ask({ ...good, messages: [{ role: 'human', content: 'x' }] }), 400],
  ['content that is a number', () => ask({ ...good, messages: [{ role: 'user', content: 5 }] }), 400],
  ['both token limits', () => ask({ ...good, max_tokens: 5, max_completion_tokens: 5 }), 400],
  ['a token limit of nothing', () => ask({ ...good, max_tokens: 0 }), 400],
  ['json_object without the word', () => ask({ ...good, response_format: { type: 'json_object' } }), 400],
  ['an unknown format', () => ask({ ...good, response_format: { type: 'yaml' } }), 400],
  ['a schema with a bad name', () => ask(format({ name: 'a step', schema: strict(branch('a')), strict: true })), 400],
  ['a schema that is missing', () => ask(format({ name: 'step', strict: true })), 400],
  ['a strict schema that is none', () => ask(format({ name: 'step', strict: true, schema: { anyOf: [branch('a')] } })), 400],
];
for (const [name, request, status] of refusals)
  test(`the model's server answers ${status} to ${name}`, async () => {
    const answer = await request();
    assert.equal(answer.status, status);
    assert.ok(answer.body.error.message);
  });

const notStrict = [
  ['the root is no anyOf', { anyOf: [branch('a')] }, /root/],
  ['every property is required', strict({ ...branch('a', { x: { type: 'string' } }), required: ['intent'] }), /Missing 'x'/],
  ['objects are closed', strict({ ...branch('a'), additionalProperties: true }), /additionalProperties/],
  ['objects say that they are closed', strict({ ...branch('a'), additionalProperties: undefined }), /additionalProperties/],
  ['oneOf is not known', strict({ ...branch('a'), oneOf: [] }), /'oneOf' is not permitted/],
  ['allOf is not known', strict({ ...branch('a'), allOf: [] }), /'allOf' is not permitted/],
  ['minLength is left out', strict(branch('a', { x: { type: 'string', minLength: 1 } })), /'minLength'/],
  ['default is left out', strict(branch('a', { x: { type: 'string', default: '' } })), /'default'/],
  ['uniqueItems is left out', strict(branch('a', { x: { type: 'array', items: { type: 'string' }, uniqueItems: true } })), /'uniqueItems'/],
  ['a property has a type', strict(branch('a', { x: { description: 'x' } })), /'type' key/],
  ['an array says of what', strict(branch('a', { x: { type: 'array' } })), /items/],
  ['branches do not begin alike', strict(branch('a'), branch('a')), /identical first keys/],
  ['the discriminator comes first', strict({ type: 'object', properties: { reasoning: { type: 'string' }, intent: { type: 'string', const: 'a' } }, required: ['reasoning', 'intent'], additionalProperties: false }, { type: 'object', properties: { reasoning: { type: 'string' }, intent: { type: 'string', const: 'b' } }, required: ['reasoning', 'intent'], additionalProperties: false }), /identical first keys/],
  ['references stay inside', strict(branch('a', { x: { $ref: 'https://x.test/s' } })), /external/],
  ['references are there', strict(branch('a', { x: { $ref: '#/$defs/y' } })), /is not there/],
  ['it has at most ten levels', strict(branch('a', { x: Array(9).fill(0).reduce((inner) => ({ type: 'object', properties: { x: inner }, required: ['x'], additionalProperties: false }), { type: 'string' }) })), /10 levels/],
];
for (const [name, schema, why] of notStrict)
  test(`a strict schema is refused unless ${name}`, () => {
    assert.match(whyNotStrict(schema), why);
  });

test('a well-made strict schema passes, and the answer has its shape', async () => {
  model.answer = () => ({ intent: 'deploy', sha: 'abc' });
  const schema = strict(branch('deploy', { reasoning: { anyOf: [{ type: 'string' }, { type: 'null' }] }, sha: { type: 'string', pattern: '^[0-9a-f]+$' } }), branch('wait'));
  assert.equal(whyNotStrict(schema), null);
  const answer = await ask(format({ name: 'step', schema, strict: true }));
  assert.deepEqual(JSON.parse(answer.body.choices[0].message.content), { step: { intent: 'deploy', reasoning: null, sha: 'abc' } });
  assert.equal(answer.body.choices[0].finish_reason, 'stop');
});

test('it answers garbage, refusals, cut answers and calls of tools as told', async () => {
  const say = async (what) => {
    model.answer = () => what;
    return (await ask(good)).body.choices[0];
  };
  assert.equal((await say({ text: 'Certainly!' })).message.content, 'Certainly!');
  assert.equal((await say({ refusal: 'I cannot' })).message.refusal, 'I cannot');
  assert.equal((await say({ length: '{"intent":' })).finish_reason, 'length');
  assert.equal((await say({ filtered: true })).finish_reason, 'content_filter');
  const called = await say({ calls: [{ name: 'deploy', arguments: { sha: 'x' } }] });
  assert.deepEqual([called.finish_reason, called.message.content, called.message.tool_calls[0].function.arguments], ['tool_calls', null, '{"sha":"x"}']);
});

test('it fails as it is told', async () => {
  model.fail(/completions/, { status: 429, headers: { 'retry-after-ms': '20' } });
  const slow = await ask(good);
  assert.deepEqual([slow.status, slow.body.error.code], [429, 'rate_limit_exceeded']);
  model.fail(/completions/, { cut: 'before' });
  await assert.rejects(ask(good));
  model.answer = () => ({ text: 'x' });
  assert.equal((await ask(good)).status, 200);
});
