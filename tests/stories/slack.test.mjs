// What people do in Slack beside Approve and Reject: they change the arguments of a call, type
// commands, use the shortcut on a message, open the home tab, and choose among many.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ALICE, BOB, CAROL, DEPLOYS, EVE, story, until } from './lib.mjs';

const DANA = 'U0DANA';

// A third deployer, so that somebody is left when one asks and one edits.
function withEdit(config, world) {
  config.people.push({ id: 'dana', name: 'Dana Roe', slack: DANA, roles: ['deployer'] });
  world.slack.addUser(DANA);
  config.tools.deploy_frontend.editable = ['sha'];
  config.tools.deploy_backend.editable = ['sha'];
}

async function openEdit(w, user, message) {
  const { payload } = await w.slack.click({ user, message, what: 'Edit' });
  return until(() => w.slack.views.find((v) => v.trigger === payload.trigger_id), 'the modal');
}

// Production has v1, a good commit has passed staging, and the frontend's card is open.
async function openCard(w) {
  await w.yesterday();
  const good = await w.goodCommit();
  await w.github.merge({ number: 41, title: 'Explain the total', sha: good });
  return { good, ...await w.openCard('deploy_frontend') };
}

story(test, 'An edit ends the old request and asks anew; what runs is the new version, approved by somebody else', { configure: withEdit }, async (w) => {
  const { good, request, message } = await openCard(w);
  assert.match(w.slack.words(message), new RegExp(`https://github.com/acme/shop/compare/${w.v1}\\.\\.\\.${good}\\|compare them`));
  const view = await openEdit(w, ALICE, message);
  assert.equal(view.view.blocks.find((b) => b.block_id === 'arg.sha').element.initial_value, good, 'the form shows what is proposed');

  // What cannot be is refused in the form, and the old request stays as it is.
  const wrong = await w.slack.submit(view, { 'arg.sha': 'no-such-branch' });
  assert.deepEqual([wrong.closed, Object.keys(wrong.errors)], [false, ['arg.sha']]);
  assert.match(wrong.errors['arg.sha'], /sha: .*knows no such/);
  assert.equal((await w.get(`/v1/requests/${request.id}`)).status, 'open');
  const same = await w.slack.submit(view, { 'arg.sha': good });
  assert.match(same.errors['arg.sha'], /nothing was changed/);

  // A short id is resolved as a model's would be.
  const { closed, errors } = await w.slack.submit(view, { 'arg.sha': w.v1.slice(0, 9) });
  assert.ok(closed, JSON.stringify(errors));
  const next = await until(async () => (await w.requests('open')).find((r) => r.tool === 'deploy_frontend' && r.id !== request.id), 'the new version');
  assert.equal(next.arguments.sha, w.v1);
  assert.notEqual(next.digest, request.digest);
  const old = await w.get(`/v1/requests/${request.id}`);
  assert.deepEqual([old.status, old.decided_by, old.comment], ['cancelled', 'person:alice', `edited by Alice Ng into request ${next.code}`]);
  await until(() => w.slack.buttons(message).length === 0, 'the old card to lose its buttons');
  assert.match(w.slack.words(message), new RegExp(`edited by Alice Ng into request ${next.code}`));
  const card = await w.card(next);
  assert.match(w.slack.words(card), new RegExp(`Edited by Alice Ng\\*: takes the place of request ${request.code}`));
  assert.match(w.slack.words(card), /somebody else must approve it/);
  assert.match(w.slack.words(card), /Runs `\.\/deploy\.sh frontend production/);

  // A late approval of the old one counts for nothing, nor does the editor's own of the new one.
  await w.slack.click({ user: BOB, message, stale: { ...message, blocks: message.edits[0].blocks }, what: 'Approve' });
  await w.ephemeral(BOB, /cancelled already/);
  await w.slack.click({ user: ALICE, message: card, what: 'Approve' });
  await w.ephemeral(ALICE, /you changed it yourself: somebody else must approve it/);
  assert.equal((await w.get(`/v1/requests/${next.id}`)).status, 'open');
  await w.slack.click({ user: DANA, message: card, what: 'Approve' });
  await until(async () => (await w.get(`/v1/requests/${next.id}`)).status === 'approved', 'the approval');
  const thread = next.thread;
  const finished = await until(async () => (await w.eventsOf(thread, 'tool_finished')).find((e) => e.data.tool === 'deploy_frontend'), 'the deployment');
  assert.equal(finished.data.outcome, 'ok');
  const started = (await w.eventsOf(thread, 'tool_started')).filter((e) => e.data.tool === 'deploy_frontend');
  assert.deepEqual(started.map((e) => [e.data.request, e.data.arguments.sha]), [[next.id, w.v1]], 'the new version ran, and it alone');
  assert.equal(w.holds('production', 'frontend'), w.v1);
  await until(() => /Approved\* by Dana Roe in ops-slack/.test(w.slack.words(card)), 'the card to say who, and where');
  const steps = (await w.eventsOf(thread, 'step')).filter((e) => e.data.intent === 'deploy_frontend');
  assert.equal(steps.length, 1, 'nobody asked the agent again for what a person changed');
  await w.auditIsWhole();
});

story(test, 'Who may not vote may not edit, and nobody edits so that nobody is left to approve', {
  configure: (config) => {
    config.tools.deploy_backend.editable = ['sha'];
  },
}, async (w) => {
  await w.yesterday();
  await w.slack.say({ user: BOB, channel: DEPLOYS, mention: true, text: `deploy the backend at ${w.v1.slice(0, 8)}` });
  const { request, message } = await w.openCard('deploy_backend');
  const carols = await openEdit(w, CAROL, message);
  assert.match((await w.slack.submit(carols, { 'arg.sha': w.v2 })).errors['arg.sha'], /only deployer may approve/);
  const eves = await openEdit(w, EVE, message);
  assert.match((await w.slack.submit(eves, { 'arg.sha': w.v2 })).errors['arg.sha'], /I do not know you/);
  const alices = await openEdit(w, ALICE, message); // Bob asked for it, and there are but two
  assert.match((await w.slack.submit(alices, { 'arg.sha': w.v2 })).errors['arg.sha'], /nobody would be left to approve it/);
  // Bob may: Alice is left. But production does not take what staging has not seen.
  const bobs = await openEdit(w, BOB, message);
  assert.match((await w.slack.submit(bobs, { 'arg.sha': w.v2 })).errors['arg.sha'], /takes only commits that passed on staging/);
  assert.equal((await w.get(`/v1/requests/${request.id}`)).status, 'open');
  assert.equal((await w.requests()).filter((r) => r.tool === 'deploy_backend' && r.status === 'open').length, 1);
  // Decided while the form was open.
  const late = await openEdit(w, BOB, message);
  await w.slack.click({ user: ALICE, message, what: 'Approve' });
  await until(async () => (await w.get(`/v1/requests/${request.id}`)).status === 'approved', 'the approval');
  assert.match((await w.slack.submit(late, { 'arg.sha': w.v2 })).errors['arg.sha'], /approved already: by Alice Ng/);
});

story(test, 'An edit by the API makes the same new version; a call whose tool does not allow it is refused', { configure: (config, world) => {
  withEdit(config, world);
  delete config.tools.deploy_backend.editable;
} }, async (w) => {
  const { request } = await openCard(w);
  const bad = await w.decide(request, 'edit', { arguments: { sha: 5 } });
  assert.deepEqual([bad.status, bad.body.error.code], [400, 'invalid']);
  const other = await w.decide(request, 'edit', { arguments: { environment: 'x' } });
  assert.match(other.body.error.message, /environment may not be changed/);
  const taken = await w.decide(request, 'edit', { arguments: { sha: w.v1 } });
  assert.equal(taken.status, 202, taken.text);
  const next = await until(async () => (await w.requests('open')).find((r) => r.tool === 'deploy_frontend' && r.id !== request.id), 'the new version');
  assert.deepEqual([next.arguments.sha, next.edited.code], [w.v1, request.code]);
  assert.equal((await w.decide(next, 'approve', {}, w.key.alice)).status, 403, 'the editor is behind it');
  assert.equal((await w.decide(next, 'approve', { as: 'dana' }, w.key.desk)).status, 200);
  const { request: backend, message } = await w.openCard('deploy_backend');
  assert.deepEqual(w.slack.buttons(message), ['Approve', 'Reject']);
  assert.match((await w.decide(backend, 'edit', { arguments: { sha: w.v1 } })).body.error.message, /may not be changed/);
});

story(test, 'Two must approve: the card says 1 of 2, and by whom', {
  configure: (config, world) => {
    withEdit(config, world); // Bob merged it, so there are two left
    config.policies['prod-signoff'].approve.count = 2;
  },
}, async (w) => {
  await w.github.merge({ number: 11, title: 'Open the shop', sha: w.v1 });
  const { message } = await w.openCard('deploy_frontend');
  await w.slack.click({ user: ALICE, message, what: 'Approve' });
  await until(() => /Votes so far: 1 of 2: Alice Ng/.test(w.slack.words(message)), 'the count on the card');
  await w.slack.click({ user: DANA, message, what: 'Approve' });
  await until(() => /Approved\* by Dana Roe/.test(w.slack.words(message)), 'the decision');
  const [status] = w.slack.messages(DEPLOYS).filter((m) => m.text.startsWith('shop run 1'));
  assert.match(JSON.stringify(status.blocks), /\/threads\/t_/, 'the status message links to the page');
});

story(test, 'Commands are answered at once: status, threads, locks, pause and help, and a wish for an agent', {
  configure: (config) => {
    config.routes.push({ from: 'ops-slack', when: 'command', command: '/deploy', agent: 'deploybot' });
  },
}, async (w) => {
  const say = async (text, user = ALICE) => (await w.slack.command(user, '/signoff', text)).text;
  assert.match(await say(''), /\/signoff status: [\s\S]*\/deploy …: asks deploybot/);
  assert.match(await say('make coffee'), /I do not know "make"[\s\S]*\/signoff status/);
  assert.match(await say('status'), /No request is open\.[\s\S]*At work:\n• nothing[\s\S]*production: nothing known/);
  assert.match(await say('threads'), /none yet/);
  await w.call('POST', '/v1/environments/production/lock', { reason: '<!channel> incident' }, w.key.admin);
  const locks = await say('locks');
  assert.match(locks, /production: locked by .*: &lt;!channel&gt; incident/);
  assert.match(locks, /staging: not locked/);
  await w.call('POST', '/v1/environments/production/unlock', {}, w.key.admin);

  // Pausing is for people of the house.
  assert.match(await say('pause', EVE), /I do not know you/);
  assert.doesNotMatch(await say('status'), /PAUSED/);
  assert.match(await say('pause', BOB), /Everything is paused/);
  assert.match(await say('status'), /EVERYTHING IS PAUSED/);
  assert.match(await say('resume all'), /Everything is resumed/);
  assert.match(await say('pause t_nothing'), /Name a thread in full/);

  // A wish starts a thread, as a mention would.
  await w.yesterday();
  assert.match((await w.slack.command(BOB, '/deploy')).text, /Say what should be done/);
  assert.match((await w.slack.command(BOB, '/ship', 'it')).text, /Nothing is set up for \/ship here/);
  assert.equal((await w.threads()).filter((t) => t.agent === 'deploybot' && !t.parent).length, 0);
  assert.match((await w.slack.command(BOB, '/deploy', `backend ${w.v1.slice(0, 8)}`)).text, /deploybot is on it/);
  const { request } = await w.openCard('deploy_backend');
  assert.deepEqual([request.arguments.sha, request.requester], [w.v1, 'person:bob']);
  assert.match(await say('status'), new RegExp(`${request.code}: deploybot proposes deploy_backend`));
  assert.match(await say('threads'), /shop run 1: done/);
  const thread = await w.thread(request.thread);
  assert.match(await say(`pause ${thread.id}`), /is paused/);
  assert.equal((await w.thread(thread.id)).status, 'paused');
  await say(`resume ${thread.id}`);
  // Unsigned it is no command.
  assert.equal((await w.slack.post('/commands', 'command=%2Fsignoff', { contentType: 'application/x-www-form-urlencoded', secret: 'wrong' })).status, 401);
});

story(test, 'The shortcut on a message asks deploybot about it, in its thread', {}, async (w) => {
  await w.yesterday();
  const message = await w.slack.say({ user: CAROL, channel: DEPLOYS, text: `can somebody deploy the backend at ${w.v1.slice(0, 8)}` });
  assert.equal((await w.slack.shortcut(BOB, message)).body, '');
  const { request, message: card } = await w.openCard('deploy_backend');
  assert.equal(card.thread_ts, message.ts);
  assert.equal(request.requester, 'person:bob', 'who asked is who used the shortcut');
  assert.equal((await w.slack.shortcut(BOB, message, 'unknown')).body, '');
  assert.equal((await w.slack.interact({ type: 'view_closed', user: { id: BOB }, view: {} })).body, '');
  assert.equal((await w.slack.interact({ type: 'something_new', user: { id: BOB } })).body, '');
});

story(test, 'The home tab shows what waits, what was asked for and what was decided, and one decides there', {}, async (w) => {
  const seen = (user) => w.slack.words({ text: '', blocks: w.slack.homes.get(user)?.blocks ?? [] });
  await w.slack.openHome(EVE);
  w.expectedComplaints = /hash_conflict/;
  await until(() => /I do not know you/.test(seen(EVE)), "a stranger's home");
  await w.slack.openHome(ALICE);
  await until(() => /Nothing waits for you/.test(seen(ALICE)), 'an empty home');
  await w.yesterday();
  await w.slack.say({ user: BOB, channel: DEPLOYS, mention: true, text: `deploy the backend at ${w.v1.slice(0, 8)}` });
  const { request, message } = await w.openCard('deploy_backend');
  await w.slack.openHome(BOB);
  await until(() => new RegExp(`Nothing waits for you[\\s\\S]*You asked for[\\s\\S]*request ${request.code}[\\s\\S]*Decided lately`).test(seen(BOB)), 'what Bob asked for');
  await w.slack.openHome(ALICE, { hash: 'an.old.one' }); // it is published all the same, in the end
  await until(() => new RegExp(`Waits for you[\\s\\S]*request ${request.code}[\\s\\S]*You asked for`).test(seen(ALICE)), 'what waits for Alice');
  assert.match(seen(ALICE), /Decided lately[\s\S]*Approved|approved\* by Alice Ng/);
  const rows = await w.rows("SELECT COUNT(*) AS n FROM deliveries WHERE lane LIKE '%/home/%' AND state = 'sent'");
  assert.ok(rows[0].n >= 4, 'each was a delivery');
  await w.slack.clickHome(ALICE, 'Approve');
  await until(() => /Approved\* by Alice Ng/.test(w.slack.words(message)), 'the card in the channel to say so');
  await until(() => /Nothing waits for you/.test(seen(ALICE)), 'her home to be made anew');
  await w.slack.openHome(ALICE, { tab: 'messages' });
});

story(test, 'Two hundred choices are searched in a form', {}, async (w) => {
  const choices = Array.from({ length: 200 }, (_, i) => `region ${i} ${i % 2 ? 'eu' : 'us'} <!channel> 🚀`);
  const asked = await w.call('POST', '/v1/requests', { kind: 'question', question: { question: 'Where?', options: { format: 'multiple_choice', choices } }, contact: { channel: 'ops-slack', to: DEPLOYS } }, w.key.admin);
  assert.equal(asked.status, 201, asked.text);
  const message = await w.card(asked.body);
  assert.deepEqual(w.slack.pings(message), []);
  const { payload } = await w.slack.click({ user: CAROL, message, what: 'Choose an answer' });
  const view = await until(() => w.slack.views.find((v) => v.trigger === payload.trigger_id), 'the modal');
  assert.equal((await w.slack.search(view, '')).length, 100);
  assert.equal((await w.slack.search(view, 'nowhere')).length, 0);
  const found = await w.slack.search(view, 'REGION 151 ');
  assert.deepEqual(found.map((o) => o.text.text), [choices[151]]);
  const { closed } = await w.slack.submit(view, { choice: found[0] });
  assert.ok(closed);
  const answered = await until(async () => {
    const r = await w.get(`/v1/requests/${asked.body.id}`);
    return r.status === 'answered' && r;
  }, 'the answer');
  assert.equal(answered.answer, choices[151]);
});

story(test, 'A check that takes long lets the form go, and what came of it is told in the conversation', { configure: withEdit }, async (w) => {
  const { request, message } = await openCard(w);
  const view = await openEdit(w, ALICE, message);
  w.github.fail((call) => call.path.includes('no-such-branch'), { slow: 4000 }, 1);
  const { payload } = await w.slack.submit(view, { 'arg.sha': 'no-such-branch' });
  assert.ok(payload && !view.open && view.errors === null, 'the form says that it is being checked');
  await w.ephemeral(ALICE, /Your change was not taken: sha: /);
  assert.equal((await w.get(`/v1/requests/${request.id}`)).status, 'open');
});

story(test, 'A gateway that is killed while a change is checked goes on with it', { configure: withEdit }, async (w) => {
  const { request, message } = await openCard(w);
  const view = await openEdit(w, ALICE, message);
  w.github.fail((call) => call.path.includes(w.v1.slice(0, 9)), { slow: 3000 }, 1);
  w.expectedComplaints = /an interaction was answered|trouble connecting/; // the form's own answer is lost
  const submitted = w.slack.submit(view, { 'arg.sha': w.v1.slice(0, 9) });
  await until(async () => (await w.eventsOf(request.thread, 'vote')).some((e) => e.data.decision === 'edit'), 'the change to be taken down');
  await w.kill();
  await submitted;
  await w.start();
  const next = await until(async () => (await w.requests('open')).find((r) => r.tool === 'deploy_frontend' && r.id !== request.id), 'the new version');
  assert.equal(next.arguments.sha, w.v1);
  assert.equal((await w.get(`/v1/requests/${request.id}`)).status, 'cancelled');
  assert.equal((await w.requests('open')).length, 1);
  await until(() => w.slack.buttons(message).length === 0, 'the old card to lose its buttons');
});

story(test, 'The page changes a call, too', { configure: withEdit }, async (w) => {
  const { request } = await openCard(w);
  const { url } = (await w.call('POST', '/v1/people/alice/login', {}, w.key.admin)).body;
  const form = { 'Content-Type': 'application/x-www-form-urlencoded' };
  const signed = await w.call('POST', new URL(url).pathname, '', null, form);
  const session = { Cookie: signed.headers.get('set-cookie').split(';')[0] };
  const page = (await w.call('GET', `/requests/${request.id}`, undefined, null, session)).text;
  assert.match(page, /name="arg\.sha"/);
  const [, token] = /name="form_token" value="([^"]+)"/.exec(page);
  const fields = new URLSearchParams({ decision: 'edit', form_token: token, 'arg.sha': w.v1 }).toString();
  const posted = await w.call('POST', `/requests/${request.id}`, fields, null, { ...form, ...session });
  assert.match(posted.headers.get('location'), /result=checking/);
  const next = await until(async () => (await w.requests('open')).find((r) => r.tool === 'deploy_frontend' && r.id !== request.id), 'the new version');
  assert.match((await w.call('GET', `/requests/${next.id}`, undefined, null, session)).text, new RegExp(`Edited by Alice Ng: takes the place of .*request ${request.code}`));
});
