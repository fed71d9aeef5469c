// A server of OpenAI's chat completions on this machine: refuses what the API refuses, and answers in
// recorded shapes with what a scripted function says. Sources: OpenAI's API reference ("Create chat
// completion", "Structured outputs: supported schemas"), tests/golden/llm.
import { randomBytes } from 'node:crypto';
import { StandIn, goldenJson } from './server.mjs';

const shapes = { text: goldenJson('llm/openai_chat.json'), call: goldenJson('llm/openai_chat_tool_call.json') };

const MEMBERS = ['model', 'messages', 'response_format', 'tools', 'tool_choice', 'parallel_tool_calls', 'max_completion_tokens', 'max_tokens', 'temperature', 'top_p', 'n', 'stop', 'stream', 'stream_options', 'seed', 'prompt_cache_key', 'safety_identifier', 'store', 'metadata', 'user', 'presence_penalty', 'frequency_penalty', 'reasoning_effort', 'logprobs', 'service_tier'];
const ROLES = ['developer', 'system', 'user', 'assistant', 'tool'];
const KEYWORDS = ['type', 'enum', 'const', 'anyOf', '$ref', '$defs', 'items', 'properties', 'required', 'additionalProperties', 'description', 'title', 'pattern', 'format', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf', 'minItems', 'maxItems'];
const TYPES = ['string', 'number', 'integer', 'boolean', 'null', 'object', 'array'];

const isObject = (v) => typeof v === 'object' && v !== null && !Array.isArray(v);

// The strict subset. → a sentence, or null.
export function whyNotStrict(schema) {
  if (!isObject(schema)) return 'schema must be an object';
  if (schema.type !== 'object' || schema.anyOf) return 'the root must be an object and not use anyOf';
  const count = { properties: 0 };
  return whyNot(schema, '', 1, count, schema) ?? (count.properties > 5000 ? 'too many properties' : null);
}

function whyNot(s, at, depth, count, root) {
  if (!isObject(s)) return `${at || '/'}: must be a schema object`;
  if (depth > 10) return `${at}: deeper than 10 levels`;
  for (const key of Object.keys(s)) if (!KEYWORDS.includes(key)) return `${at || '/'}: '${key}' is not permitted`;
  if (s.$ref !== undefined) {
    if (typeof s.$ref !== 'string' || !s.$ref.startsWith('#')) return `${at}: external $ref`;
    const name = /^#\/\$defs\/(.+)$/.exec(s.$ref)?.[1];
    if (s.$ref !== '#' && !root.$defs?.[name]) return `${at}: ${s.$ref} is not there`;
    const beside = Object.keys(s).filter((k) => !['$ref', 'description', 'title'].includes(k));
    return beside.length ? `${at}: $ref cannot have the sibling ${beside[0]}` : null;
  }
  if (s.type === undefined && s.anyOf === undefined && s.const === undefined && s.enum === undefined) return `${at || '/'}: schema must have a 'type' key`;
  for (const type of [s.type ?? []].flat()) if (!TYPES.includes(type)) return `${at}: ${type} is no type`;
  const isObjectType = [s.type ?? []].flat().includes('object');
  if (isObjectType || s.properties) {
    if (s.additionalProperties !== false) return `${at || '/'}: 'additionalProperties' is required to be supplied and to be false`;
    const names = Object.keys(s.properties ?? {});
    const missing = names.find((n) => !(s.required ?? []).includes(n));
    if (missing) return `${at || '/'}: 'required' must include every key in properties. Missing '${missing}'`;
    const extra = (s.required ?? []).find((n) => !names.includes(n));
    if (extra) return `${at || '/'}: 'required' names ${extra}, which is no property`;
    count.properties += names.length;
    for (const n of names) {
      const why = whyNot(s.properties[n], `${at}/properties/${n}`, depth + 1, count, root);
      if (why) return why;
    }
  }
  if ([s.type ?? []].flat().includes('array') && s.items === undefined) return `${at}: array schema missing items`;
  if (s.items !== undefined) {
    const why = whyNot(s.items, `${at}/items`, depth + 1, count, root);
    if (why) return why;
  }
  for (const [name, d] of Object.entries(s.$defs ?? {})) {
    const why = whyNot(d, `${at}/$defs/${name}`, depth, count, root);
    if (why) return why;
  }
  return whyNotAnyOf(s, at, depth, count, root);
}

// Branches that are objects must not begin alike: the discriminator stands first, and differs.
function whyNotAnyOf(s, at, depth, count, root) {
  if (s.anyOf === undefined) return null;
  if (!Array.isArray(s.anyOf) || s.anyOf.length === 0) return `${at}: anyOf must have branches`;
  const firsts = new Set();
  for (const [i, branch] of s.anyOf.entries()) {
    const why = whyNot(branch, `${at}/anyOf/${i}`, depth, count, root);
    if (why) return why;
    const first = Object.entries(branch.properties ?? {})[0];
    if (!first) continue;
    const mark = JSON.stringify([first[0], first[1].const ?? first[1].enum ?? null]);
    if (firsts.has(mark)) return `${at}: Objects provided via 'anyOf' must not share identical first keys`;
    firsts.add(mark);
  }
  return null;
}

// What the API says to a body: {status, error} or null.
export function refuseBody(body) {
  const bad = (message, code = null, param = null, status = 400) => ({ status, error: { message, type: 'invalid_request_error', param, code } });
  if (!isObject(body)) return bad('We could not parse the JSON body of your request.');
  for (const name of Object.keys(body)) if (!MEMBERS.includes(name)) return bad(`Unrecognized request argument supplied: ${name}`, 'unknown_parameter', name);
  if (typeof body.model !== 'string' || body.model === '') return bad('you must provide a model parameter', 'missing_required_parameter', 'model');
  if (!Array.isArray(body.messages) || body.messages.length === 0) return bad("'messages' must be a non-empty array", null, 'messages');
  for (const [i, m] of body.messages.entries()) {
    if (!isObject(m) || !ROLES.includes(m.role)) return bad(`Invalid value: '${m?.role}'. Supported values are: ${ROLES}`, 'invalid_value', `messages[${i}].role`);
    const parts = Array.isArray(m.content) && m.content.every((p) => p.type === 'text' && typeof p.text === 'string');
    if (typeof m.content !== 'string' && !parts) return bad('Invalid type for content', 'invalid_type', `messages[${i}].content`);
    if (['system', 'developer'].includes(m.role) && i > 0 && body.messages[i - 1].role === 'user') return bad('a system message after the user spoke', null, `messages[${i}]`);
  }
  if (body.max_tokens !== undefined && body.max_completion_tokens !== undefined) return bad("Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.");
  for (const n of ['max_tokens', 'max_completion_tokens']) if (body[n] !== undefined && !(Number.isInteger(body[n]) && body[n] > 0)) return bad(`Invalid '${n}'`, 'integer_below_min_value', n);
  if (body.temperature !== undefined && !(body.temperature >= 0 && body.temperature <= 2)) return bad("Invalid 'temperature'", 'decimal_above_max_value', 'temperature');
  return refuseFormat(body.response_format, body, bad);
}

function refuseFormat(format, body, bad) {
  if (format === undefined) return null;
  if (!isObject(format) || !['text', 'json_object', 'json_schema'].includes(format.type)) return bad("Invalid value for response_format.type", 'invalid_value', 'response_format.type');
  if (format.type === 'json_object' && !/json/i.test(JSON.stringify(body.messages))) return bad("'messages' must contain the word 'json' in some form", null, 'messages');
  if (format.type !== 'json_schema') return null;
  const named = format.json_schema;
  if (!isObject(named) || !/^[A-Za-z0-9_-]{1,64}$/.test(named.name ?? '')) return bad("Invalid 'response_format.json_schema.name'", 'invalid_value', 'response_format.json_schema.name');
  if (!isObject(named.schema)) return bad('Missing required parameter: response_format.json_schema.schema', 'missing_required_parameter', 'response_format.json_schema.schema');
  const why = named.strict === true ? whyNotStrict(named.schema) : null;
  return why ? bad(`Invalid schema for response_format '${named.name}': In context=(), ${why}`, 'invalid_json_schema', 'response_format') : null;
}

export class Model extends StandIn {
  key = `sk-${randomBytes(16).toString('hex')}`;
  name = 'gpt-4o';
  refused = []; // sentences of bodies that were refused
  // (request) → a step (an object), or {text}, {refusal}, {length}, {filtered}, {calls: [{name, arguments}]}
  answer = () => ({ intent: 'nothing_to_do', reason: 'nobody wrote a script for me' });

  constructor(options = {}) {
    super();
    Object.assign(this, options);
  }

  async start() {
    await this.listen((call) => this.#serve(call));
    this.baseUrl = `${this.url}/v1`;
    return this;
  }

  tooManyBody() {
    return { error: { message: 'Rate limit reached', type: 'requests', param: null, code: 'rate_limit_exceeded' } };
  }

  #refuse(status, error) {
    this.refused.push(error.message);
    return { status, body: { error }, headers: { 'x-request-id': `req_${randomBytes(8).toString('hex')}` } };
  }

  async #serve(call) {
    if (call.path !== '/v1/chat/completions') return this.#refuse(404, { message: `Invalid URL (${call.method} ${call.path})`, type: 'invalid_request_error', param: null, code: null });
    if (call.method !== 'POST') return this.#refuse(405, { message: `Not allowed to ${call.method} on /v1/chat/completions`, type: 'invalid_request_error', param: null, code: 'method_not_supported' });
    const auth = call.headers.authorization;
    if (!auth) return this.#refuse(401, { message: "You didn't provide an API key.", type: 'invalid_request_error', param: null, code: null });
    if (auth !== `Bearer ${this.key}`) return this.#refuse(401, { message: `Incorrect API key provided: ${auth.slice(7, 12)}***.`, type: 'invalid_request_error', param: null, code: 'invalid_api_key' });
    if (!/^application\/json\b/.test(call.headers['content-type'] ?? '')) return this.#refuse(400, { message: "you must provide a JSON body: set 'Content-Type: application/json'", type: 'invalid_request_error', param: null, code: null });
    let body;
    try {
      body = JSON.parse(call.body.toString('utf8'));
    } catch {
      body = null;
    }
    const refused = refuseBody(body);
    if (refused) return this.#refuse(refused.status, refused.error);
    if (body.model !== this.name) return this.#refuse(404, { message: `The model \`${body.model}\` does not exist or you do not have access to it.`, type: 'invalid_request_error', param: null, code: 'model_not_found' });
    const text = (role) => body.messages.filter((m) => m.role === role).map((m) => m.content).join('\n');
    call.request = { body, system: text('system') || text('developer'), user: text('user'), schema: body.response_format?.json_schema?.schema, number: this.callsOf(call.name).length };
    return this.#shape(await this.answer(call.request), call.request);
  }

  #shape(says, request) {
    const answer = structuredClone(says.calls ? shapes.call : shapes.text);
    const choice = answer.choices[0];
    answer.id = `chatcmpl-${randomBytes(12).toString('hex')}`;
    answer.created = Math.floor(Date.now() / 1000);
    answer.model = this.name;
    answer.usage = { ...answer.usage, prompt_tokens: 120, completion_tokens: 30, total_tokens: 150 };
    if (says.calls) {
      choice.message.tool_calls = says.calls.map((c, i) => ({ id: `call_${i}`, type: 'function', function: { name: c.name, arguments: typeof c.arguments === 'string' ? c.arguments : JSON.stringify(c.arguments) } }));
    } else if (says.refusal) {
      choice.message.content = null;
      choice.message.refusal = says.refusal;
    } else if (says.length !== undefined && says.intent === undefined) {
      choice.message.content = says.length;
      choice.finish_reason = 'length';
    } else if (says.filtered) {
      choice.message.content = '';
      choice.finish_reason = 'content_filter';
    } else {
      choice.message.content = says.text ?? JSON.stringify(inShape(says, request));
    }
    return { status: 200, headers: { 'x-request-id': `req_${randomBytes(8).toString('hex')}` }, body: answer };
  }
}

// As strict mode forces it: wrapped in what the root asks for, absent members as null, schema order.
function inShape(step, request) {
  const strict = request.body.response_format?.json_schema?.strict === true;
  if (!strict) return step;
  const branch = request.schema.properties.step.anyOf.find((b) => b.properties.intent.const === step.intent);
  if (!branch) throw new Error(`the schema offers no ${step.intent}`);
  const full = {};
  for (const name of Object.keys(branch.properties)) full[name] = step[name] ?? null;
  return { step: full };
}
