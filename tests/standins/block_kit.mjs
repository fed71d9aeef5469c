// The limits of Slack's Block Kit, as its reference states them: what a message or a modal may hold.
// Over-limit blocks fail the whole call, so a stand-in that lets them pass hides the commonest bug of
// approval bots. Characters are counted in UTF-16 units, the stricter of the two readings.

class Report {
  messages = [];
  say(pointer, sentence) {
    this.messages.push(`[ERROR] ${sentence} [json-pointer:${pointer}]`);
  }
}

const isObject = (v) => typeof v === 'object' && v !== null && !Array.isArray(v);

function checkString(r, at, value, max, min = 1) {
  if (typeof value !== 'string') return r.say(at, 'must be a string');
  if (value.length < min) r.say(at, `must be more than ${min - 1} characters`);
  if (value.length > max) r.say(at, `must be less than ${max + 1} characters`);
}

function checkMembers(r, at, object, required, optional) {
  for (const name of required)
    if (object[name] === undefined) r.say(at, `missing required field: ${name}`);
  for (const name of Object.keys(object))
    if (!required.includes(name) && !optional.includes(name)) r.say(at, `invalid additional property: ${name}`);
}

// An escaped text: every '<' opens one of Slack's own constructs, every '&' is one of three entities,
// and a bare '>' only begins a quotation.
export function badMarkup(text) {
  const bare = text.replace(/^> /gm, '').replace(/<(@[UW][A-Z0-9]+|#C[A-Z0-9]+(\|[^<>|]*)?|![a-z]+(\^[^<>|]*)*(\|[^<>|]*)?|https?:\/\/[^<>|\s]+(\|[^<>|]*)?|mailto:[^<>|\s]+(\|[^<>|]*)?)>/g, '');
  return /[<>]|&(?!amp;|lt;|gt;)/.exec(bare)?.[0] ?? null;
}

function checkText(r, at, object, max, types = ['plain_text', 'mrkdwn']) {
  if (!isObject(object)) return r.say(at, 'must be a text object');
  if (!types.includes(object.type)) return r.say(`${at}/type`, `must be one of ${types.join(', ')}`);
  checkMembers(r, at, object, ['type', 'text'], object.type === 'mrkdwn' ? ['verbatim'] : ['emoji']);
  checkString(r, `${at}/text`, object.text, max);
}

const plain = (r, at, object, max) => checkText(r, at, object, max, ['plain_text']);

function checkConfirm(r, at, c) {
  if (!isObject(c)) return r.say(at, 'must be an object');
  checkMembers(r, at, c, ['title', 'text', 'confirm', 'deny'], ['style']);
  plain(r, `${at}/title`, c.title, 100);
  checkText(r, `${at}/text`, c.text, 300);
  plain(r, `${at}/confirm`, c.confirm, 30);
  plain(r, `${at}/deny`, c.deny, 30);
}

function checkOptions(r, at, options, max) {
  if (!Array.isArray(options) || options.length < 1) return r.say(at, 'must have at least 1 item');
  if (options.length > max) r.say(at, `no more than ${max} items allowed`);
  const values = new Set();
  options.forEach((o, i) => {
    checkMembers(r, `${at}/${i}`, o, ['text', 'value'], ['description', 'url']);
    checkText(r, `${at}/${i}/text`, o.text, 75);
    checkString(r, `${at}/${i}/value`, o.value, 75);
    if (values.has(o.value)) r.say(`${at}/${i}/value`, 'must be unique');
    values.add(o.value);
  });
}

const elements = {
  button(r, at, e) {
    checkMembers(r, at, e, ['type', 'text'], ['action_id', 'value', 'url', 'style', 'confirm', 'accessibility_label']);
    plain(r, `${at}/text`, e.text, 75);
    if (e.value !== undefined) checkString(r, `${at}/value`, e.value, 2000);
    if (e.url !== undefined) checkString(r, `${at}/url`, e.url, 3000);
    if (e.accessibility_label !== undefined) checkString(r, `${at}/accessibility_label`, e.accessibility_label, 75);
    if (e.style !== undefined && !['primary', 'danger'].includes(e.style)) r.say(`${at}/style`, 'must be primary or danger');
    if (e.confirm !== undefined) checkConfirm(r, `${at}/confirm`, e.confirm);
  },
  static_select(r, at, e) {
    checkMembers(r, at, e, ['type'], ['action_id', 'placeholder', 'options', 'option_groups', 'initial_option', 'confirm', 'focus_on_load']);
    if (e.placeholder !== undefined) plain(r, `${at}/placeholder`, e.placeholder, 150);
    if (!e.option_groups) checkOptions(r, `${at}/options`, e.options, 100);
    if (e.initial_option !== undefined && !(e.options ?? []).some((o) => JSON.stringify(o) === JSON.stringify(e.initial_option))) r.say(`${at}/initial_option`, 'must be one of the options, exactly');
  },
  external_select(r, at, e) {
    checkMembers(r, at, e, ['type', 'action_id'], ['placeholder', 'initial_option', 'min_query_length', 'confirm', 'focus_on_load']);
    if (e.placeholder !== undefined) plain(r, `${at}/placeholder`, e.placeholder, 150);
    if (e.min_query_length !== undefined && !(Number.isInteger(e.min_query_length) && e.min_query_length >= 0)) r.say(`${at}/min_query_length`, 'must be 0 or more');
  },
  overflow(r, at, e) {
    checkMembers(r, at, e, ['type', 'options'], ['action_id', 'confirm']);
    checkOptions(r, `${at}/options`, e.options, 5);
  },
  plain_text_input(r, at, e) {
    checkMembers(r, at, e, ['type'], ['action_id', 'placeholder', 'initial_value', 'multiline', 'min_length', 'max_length', 'focus_on_load', 'dispatch_action_config']);
    if (e.min_length !== undefined && !(Number.isInteger(e.min_length) && e.min_length >= 0 && e.min_length <= 3000)) r.say(`${at}/min_length`, 'must be from 0 to 3000');
    if (e.max_length !== undefined && !(Number.isInteger(e.max_length) && e.max_length >= 1 && e.max_length <= 3000)) r.say(`${at}/max_length`, 'must be from 1 to 3000');
    if (e.placeholder !== undefined) plain(r, `${at}/placeholder`, e.placeholder, 150);
    if (e.initial_value !== undefined) checkString(r, `${at}/initial_value`, e.initial_value, e.max_length ?? 3000, 0);
  },
  image(r, at, e) {
    checkMembers(r, at, e, ['type', 'image_url', 'alt_text'], []);
    checkString(r, `${at}/alt_text`, e.alt_text, 2000);
    checkString(r, `${at}/image_url`, e.image_url, 3000);
  },
};

function checkElement(r, at, e, allowed, actionIds) {
  if (!isObject(e) || !allowed.includes(e.type)) return r.say(at, `unsupported type: ${e?.type}`);
  elements[e.type](r, at, e);
  if (e.action_id === undefined) return;
  checkString(r, `${at}/action_id`, e.action_id, 255);
  if (actionIds.has(e.action_id)) r.say(`${at}/action_id`, 'must be unique within its block');
  actionIds.add(e.action_id);
}

const blockTypes = {
  divider(r, at, b) {
    checkMembers(r, at, b, ['type'], ['block_id']);
  },
  header(r, at, b) {
    checkMembers(r, at, b, ['type', 'text'], ['block_id']);
    plain(r, `${at}/text`, b.text, 150);
  },
  section(r, at, b) {
    checkMembers(r, at, b, ['type'], ['text', 'fields', 'accessory', 'block_id', 'expand']);
    if (b.text === undefined && b.fields === undefined) r.say(at, 'must define either `fields` or `text`');
    if (b.text !== undefined) checkText(r, `${at}/text`, b.text, 3000);
    if (b.fields !== undefined) {
      if (!Array.isArray(b.fields) || b.fields.length < 1 || b.fields.length > 10) r.say(`${at}/fields`, 'no more than 10 items allowed');
      else b.fields.forEach((f, i) => checkText(r, `${at}/fields/${i}`, f, 2000));
    }
    if (b.accessory !== undefined) checkElement(r, `${at}/accessory`, b.accessory, ['button', 'static_select', 'overflow', 'image'], new Set());
  },
  context(r, at, b) {
    checkMembers(r, at, b, ['type', 'elements'], ['block_id']);
    if (!Array.isArray(b.elements) || b.elements.length < 1) return r.say(`${at}/elements`, 'must have at least 1 item');
    if (b.elements.length > 10) r.say(`${at}/elements`, 'no more than 10 items allowed');
    b.elements.forEach((e, i) => (e?.type === 'image' ? elements.image(r, `${at}/elements/${i}`, e)
      : checkText(r, `${at}/elements/${i}`, e, 3000)));
  },
  actions(r, at, b) {
    checkMembers(r, at, b, ['type', 'elements'], ['block_id']);
    if (!Array.isArray(b.elements) || b.elements.length < 1) return r.say(`${at}/elements`, 'must have at least 1 item');
    if (b.elements.length > 25) r.say(`${at}/elements`, 'no more than 25 items allowed');
    const ids = new Set();
    b.elements.forEach((e, i) => checkElement(r, `${at}/elements/${i}`, e, ['button', 'static_select', 'overflow'], ids));
    if (b.elements.filter((e) => e.style === 'primary').length > 1) r.say(`${at}/elements`, 'at most one primary button');
  },
  image(r, at, b) {
    checkMembers(r, at, b, ['type', 'image_url', 'alt_text'], ['title', 'block_id']);
    checkString(r, `${at}/alt_text`, b.alt_text, 2000);
  },
  input(r, at, b) {
    checkMembers(r, at, b, ['type', 'label', 'element'], ['block_id', 'hint', 'optional', 'dispatch_action']);
    plain(r, `${at}/label`, b.label, 2000);
    if (b.hint !== undefined) plain(r, `${at}/hint`, b.hint, 2000);
    checkElement(r, `${at}/element`, b.element, ['plain_text_input', 'static_select', 'external_select'], new Set());
  },
};

const allowedIn = {
  message: ['divider', 'header', 'section', 'context', 'actions', 'image'],
  modal: ['divider', 'header', 'section', 'context', 'actions', 'image', 'input'],
  home: ['divider', 'header', 'section', 'context', 'actions', 'image', 'input'],
};
const mostBlocks = { message: 50, modal: 100, home: 100 };

function checkInto(r, at, blocks, surface) {
  if (blocks.length > mostBlocks[surface]) r.say(at, `no more than ${mostBlocks[surface]} items allowed`);
  const ids = new Set();
  blocks.forEach((b, i) => {
    const here = `${at}/${i}`;
    if (!isObject(b) || !allowedIn[surface].includes(b.type)) return r.say(here, `unsupported type: ${b?.type}`);
    blockTypes[b.type](r, here, b);
    if (b.block_id === undefined) return;
    checkString(r, `${here}/block_id`, b.block_id, 255);
    if (ids.has(b.block_id)) r.say(`${here}/block_id`, '`block_id` already exists');
    ids.add(b.block_id);
  });
}

// → the sentences that Slack would put into response_metadata.messages; none: all is well.
export function checkBlocks(blocks) {
  const r = new Report();
  checkInto(r, '/blocks', blocks, 'message');
  return r.messages;
}

// A home tab: no title, no submit; blocks as in a modal.
export function checkHome(view) {
  const r = new Report();
  if (!isObject(view)) return ['[ERROR] must be an object [json-pointer:/view]'];
  if (view.type !== 'home') r.say('/view/type', 'must be home');
  checkMembers(r, '/view', view, ['type', 'blocks'], ['callback_id', 'external_id', 'private_metadata']);
  if (view.private_metadata !== undefined) checkString(r, '/view/private_metadata', view.private_metadata, 3000, 0);
  for (const name of ['callback_id', 'external_id']) if (view[name] !== undefined) checkString(r, `/view/${name}`, view[name], 255, 0);
  if (!Array.isArray(view.blocks)) r.say('/view/blocks', 'must be an array');
  else checkInto(r, '/view/blocks', view.blocks, 'home');
  return r.messages;
}

// The answer to a block_suggestion: at most 100 options, each within its limits.
export function checkFound(answer) {
  const r = new Report();
  if (!isObject(answer)) return ['[ERROR] must be an object [json-pointer:/]'];
  checkMembers(r, '', answer, ['options'], []);
  if (answer.options?.length !== 0) checkOptions(r, '/options', answer.options, 100);
  return r.messages;
}

export function checkView(view) {
  const r = new Report();
  if (!isObject(view)) return ['[ERROR] must be an object [json-pointer:/view]'];
  if (view.type !== 'modal') r.say('/view/type', 'must be modal');
  checkMembers(r, '/view', view, ['type', 'title', 'blocks'], ['callback_id', 'external_id', 'private_metadata', 'submit', 'close', 'clear_on_close', 'notify_on_close', 'submit_disabled']);
  plain(r, '/view/title', view.title, 24);
  for (const name of ['submit', 'close']) if (view[name] !== undefined) plain(r, `/view/${name}`, view[name], 24);
  if (view.private_metadata !== undefined) checkString(r, '/view/private_metadata', view.private_metadata, 3000, 0);
  for (const name of ['callback_id', 'external_id']) if (view[name] !== undefined) checkString(r, `/view/${name}`, view[name], 255, 0);
  if (!Array.isArray(view.blocks)) r.say('/view/blocks', 'must be an array');
  else {
    checkInto(r, '/view/blocks', view.blocks, 'modal');
    if (view.blocks.some((b) => b?.type === 'input') && view.submit === undefined) r.say('/view', 'missing required field: submit');
  }
  return r.messages;
}

// Everything that a reader would see, block by block.
export function wordsOf(blocks) {
  const out = [];
  const walk = (v) => {
    if (Array.isArray(v)) return v.forEach(walk);
    if (!isObject(v)) return;
    if ((v.type === 'mrkdwn' || v.type === 'plain_text') && typeof v.text === 'string') return void out.push(v.text);
    Object.values(v).forEach(walk);
  };
  walk(blocks ?? []);
  return out.join('\n');
}

// Who would be called by this message: broadcasts and mentions, in escaped text that is markup, and
// bare @channel where the text object is not verbatim.
export function pings(message) {
  const out = [];
  const scan = (text) => out.push(...(text.match(/<!(channel|here|everyone)[^>]*>|<@[UW][A-Z0-9]+[^>]*>|<!subteam[^>]*>/g) ?? []));
  scan(message.text ?? '');
  const walk = (v) => {
    if (Array.isArray(v)) return v.forEach(walk);
    if (!isObject(v)) return;
    if (v.type === 'mrkdwn' && typeof v.text === 'string') {
      scan(v.text);
      if (v.verbatim !== true) out.push(...(v.text.match(/@(channel|here|everyone)\b/g) ?? []));
    } else Object.values(v).forEach(walk);
  };
  walk(message.blocks ?? []);
  return out;
}
