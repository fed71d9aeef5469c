// The smaller turns that the services take: modals too late, lists that come in pages, limits, other doors.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ALICE, BOB, DEPLOYS, EVE, sleep, story, until } from './lib.mjs';

const direct = (config) => delete config.environments.production.promote_from;

async function propose(w, component = 'backend') {
  const { body } = await w.call('POST', '/v1/threads', { agent: 'deploybot', message: `deploy the ${component} at ${w.v1}` }, w.key.bob);
  return { thread: body, ...(await w.openCard(`deploy_${component}`)) };
}

const modalOf = (w, click) => until(() => w.slack.views.find((v) => v.trigger === click.payload.trigger_id), 'the modal');

story(test, 'A modal without words stays open and says so; one that comes too late is answered', { configure: direct }, async (w) => {
  const { request, message } = await propose(w);
  const view = await modalOf(w, await w.slack.click({ user: ALICE, message, what: 'Reject' }));
  const blank = await w.slack.submit(view, { reason: '   ' });
  assert.deepEqual([blank.closed, Object.keys(blank.errors)], [false, ['reason']]);
  assert.equal((await w.get(`/v1/requests/${request.id}`)).status, 'open');
  const late = await modalOf(w, await w.slack.click({ user: BOB, message, what: 'Reject' }));
  await w.decide(request, 'approve');
  assert.equal((await w.slack.submit(late, { reason: 'wait!' })).closed, true);
  await w.ephemeral(BOB, /approved already.*Alice Ng/);
  // Somebody who may not, by a modal.
  const other = await propose(w, 'frontend');
  const stranger = await modalOf(w, await w.slack.click({ user: EVE, message: other.message, what: 'Reject' })).catch(() => null);
  if (stranger) await w.slack.submit(stranger, { reason: 'mine' });
  await w.ephemeral(EVE, /do not know you|only people/i);
  assert.equal((await w.get(`/v1/requests/${other.request.id}`)).status, 'open');
});

story(test, 'A modal that Slack does not open in time: the person hears of it, and the next click works', { configure: direct }, async (w) => {
  w.expectedComplaints = /expired_trigger_id/;
  const { request, message } = await propose(w);
  w.slack.triggerLife = -1;
  await w.slack.click({ user: ALICE, message, what: 'Reject' });
  await w.ephemeral(ALICE, /again/i);
  w.slack.triggerLife = 3000;
  const view = await modalOf(w, await w.slack.click({ user: ALICE, message, what: 'Reject' }));
  await w.slack.submit(view, { reason: 'stop' });
  await until(async () => (await w.get(`/v1/requests/${request.id}`)).status === 'rejected', 'the rejection');
});

story(test, 'Many choices are a select, few are buttons, words are a modal or a reply', {}, async (w) => {
  const ask = async (question) => (await w.call('POST', '/v1/requests', { kind: 'question', question, contact: { channel: 'ops-slack', to: 'C0RANDOM' } })).body;
  const choices = Array.from({ length: 12 }, (_, i) => `choice ${i} ${'x'.repeat(i * 10)}`);
  const many = await ask({ question: 'Which of these?', options: { format: 'multiple_choice', choices } });
  const message = await w.card(many, 'C0RANDOM');
  assert.equal(w.slack.buttons(message).length, 12);
  await w.slack.click({ user: ALICE, message, what: w.slack.buttons(message)[11] });
  await until(async () => (await w.get(`/v1/requests/${many.id}`)).answer === choices[11], 'the whole words of the choice, though Slack shows less');
  const yesNo = await ask({ question: 'Really?', options: { format: 'yes_no' } });
  const small = await w.card(yesNo, 'C0RANDOM');
  await w.slack.say({ user: ALICE, channel: 'C0RANDOM', thread_ts: small.ts, text: 'Yes!' });
  await until(async () => (await w.get(`/v1/requests/${yesNo.id}`)).answer === 'yes', 'a reply that names one choice');
  const free = await ask({ question: 'What then?' });
  const card = await w.card(free, 'C0RANDOM');
  const view = await modalOf(w, await w.slack.click({ user: ALICE, message: card, what: 'Answer' }));
  assert.equal((await w.slack.submit(view, { reason: 'this & <that>' })).closed, true);
  await until(async () => (await w.get(`/v1/requests/${free.id}`)).answer === 'this & <that>', 'the answer');
  await until(() => w.slack.words(card).includes('this &amp; &lt;that&gt;'), 'the card to show it');
});

story(test, 'A direct message starts a thread; the same words by nobody we know are answered too', { configure: direct }, async (w) => {
  await w.slack.say({ user: BOB, channel: 'D0BOB', text: `deploy the backend at ${w.v1}` });
  await w.approve('deploy_backend');
  const thread = (await w.threads()).find((t) => t.agent === 'deploybot');
  assert.equal(thread.requester, 'person:bob');
  await w.ended(thread);
  await until(() => w.slack.messages('D0BOB').some((m) => m.bot_id && /in production/.test(m.text)), 'the answer, where it was asked');
  // A plain message in a channel, of a thread that is not ours, is none of our business.
  const before = (await w.threads()).length;
  await w.slack.say({ user: BOB, channel: 'C0RANDOM', text: 'deploy the backend' });
  await sleep(300);
  assert.equal((await w.threads()).length, before);
  assert.equal(w.slack.ours('C0RANDOM').length, 0);
});

story(test, 'GitHub asks to slow down: the look-up waits until the reset and goes on', { configure: direct }, async (w) => {
  w.github.used = w.github.limit;
  w.github.resetAt = Math.floor(Date.now() / 1000) + 3;
  const begin = Date.now();
  const { message } = await propose(w);
  assert.ok(Date.now() - begin >= 1500, 'it waited');
  assert.ok(message);
  assert.ok(w.github.calls.length < 30, `it did not hammer: ${w.github.calls.length} calls`);
  w.github.fail(/\/tags/, { status: 403, retryAfter: 1, body: { message: 'You have exceeded a secondary rate limit' } });
  w.github.fail(/\/commits$/, { status: 500, body: 'oops' });
  w.github.fail(/\/commits$/, { cut: 'before' });
  await w.decide(await w.open(), 'approve');
  const next = await propose(w, 'frontend');
  assert.ok(next.request.id);
});

story(test, 'What GitHub said before is asked for by its ETag, and a 304 is as good', { configure: direct }, async (w) => {
  const { request, thread } = await propose(w);
  await w.decide(request, 'approve');
  await w.ended(thread);
  const used = w.github.used;
  await propose(w, 'frontend');
  const again = w.github.calls.filter((c) => c.answer?.status === 304);
  assert.ok(again.length >= 2, `${again.length} answers were 304`);
  assert.ok(w.github.used - used <= 1, 'they cost nothing');
});

story(test, 'A token that GitHub does not accept: the agent is told, and a person is asked', { configure: direct, env: { GITHUB_TOKEN: 'ghp_expired' } }, async (w) => {
  await w.call('POST', '/v1/threads', { agent: 'deploybot', message: `deploy the backend at ${w.v1}` }, w.key.bob);
  await w.open('question');
  const [thread] = await w.threads();
  assert.match((await w.get(`/v1/threads/${thread.id}/context`)).text, /does not accept the token/);
  assert.equal((await w.requests()).filter((r) => r.kind === 'approval').length, 0);
});

story(test, 'An agent hands over: the other one goes on with its summary, in the same conversation', { configure: direct, model: (r) => (/roll_back_backend/.test(JSON.stringify(r.schema)) ? { intent: 'done_for_now', message: 'I looked: all is well.' } : { intent: 'hand_over', agent: 'rollback', summary: 'the page is broken since noon' }) }, async (w) => {
  const mention = await w.slack.say({ user: BOB, channel: DEPLOYS, mention: true, text: 'the page is broken' });
  const rollback = await until(async () => (await w.threads()).find((t) => t.agent === 'rollback'), 'rollback to begin');
  const deploybot = await w.thread(rollback.parent);
  assert.deepEqual([deploybot.agent, rollback.requester], ['deploybot', 'person:bob']);
  assert.match((await w.get(`/v1/threads/${rollback.id}/context`)).text, /the page is broken since noon/);
  await w.ended(rollback);
  assert.equal((await w.ended(deploybot)).status, 'done');
  await until(() => w.slack.thread(DEPLOYS, mention.ts).some((m) => /all is well/.test(m.text)), 'its words, under the mention');
});

story(test, 'A durable timer goes on after a restart', { model: (r) => (/<timer_fired>/.test(r.user) ? { intent: 'done_for_now', message: 'Awake.' } : { intent: 'await', seconds: 2, reasoning: 'a moment' }) }, async (w) => {
  const { body } = await w.call('POST', '/v1/threads', { agent: 'rollback', message: 'wait a little' });
  await until(async () => (await w.thread(body.id)).waiting_for?.kind === 'timer', 'it to wait for a timer');
  await w.kill();
  await w.start();
  assert.equal((await w.ended(body)).status, 'done');
  assert.equal((await w.eventsOf(body.id, 'timer_fired')).length, 1);
});

story(test, 'Production tests that fail again after the roll-back: a person is asked, and nothing starts a third time', {}, async (w) => {
  await w.yesterday();
  w.file('environments/production/ledger', '99.00');
  await w.github.merge({ number: 12, title: 'Sum orders twice as fast', sha: w.v2 });
  await w.approve('deploy_frontend');
  await w.approve('deploy_backend');
  await w.approve('roll_back_backend');
  const { message, request } = await w.openCard('question');
  assert.match(w.slack.words(message), /e2e-production failed again after rollback/);
  await w.decide(request, 'answer', { answer: 'the ledger is wrong' });
  const run = await w.ended(await w.run(2));
  assert.equal(run.status, 'failed');
  assert.equal((await w.eventsOf(run.id, 'stage_started')).filter((e) => e.data.stage === 'e2e-production').length, 2);
});
