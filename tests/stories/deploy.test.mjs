// The story that the whole is for: a merge goes to staging, is tested, is proposed, signed off and
// deployed; production's tests fail; it is rolled back. Told twice: by the playbooks, and by a model.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { ALICE, DEPLOYS, story, signoff, until } from './lib.mjs';

// What a sensible model answers: it reads the events it is given, newest last.
function sensibleModel(request) {
  const events = [...request.user.matchAll(/^<(\w+)>\n([\s\S]*?)^<\/\1>/gm)].map(([, tag, body]) => ({ tag, body }));
  const last = events.at(-1);
  const done = (tool) => events.some((e) => e.tag === `${tool}_result` && /output:/.test(e.body));
  if (/roll_back_backend/.test(JSON.stringify(request.schema))) {
    if (done('roll_back_backend')) return { intent: 'done_for_now', message: 'The backend is back where it was.' };
    const sha = /previous:\n[\s\S]*?production: \{backend: ([0-9a-f]{40})/.exec(request.user)[1];
    return { intent: 'roll_back_backend', sha, reasoning: 'the page shows a wrong total since the backend changed' };
  }
  const sha = /<github_pull_request>[\s\S]*?sha: ([0-9a-f]{40})/.exec(request.user)[1];
  const short = sha.slice(0, 9); // models shorten
  if (done('deploy_backend') && done('deploy_frontend')) return { intent: 'done_for_now', message: `Both parts of ${sha.slice(0, 7)} are out.` };
  if (last.tag === 'request_decided' && /backend first/.test(last.body)) return { intent: 'deploy_backend', sha: short };
  return done('deploy_frontend') ? { intent: 'deploy_backend', sha: short } : { intent: 'deploy_frontend', sha: short };
}

for (const [who, options] of [['the playbooks decide', {}], ['a model decides', { model: sensibleModel }]])
  story(test, `A merge is deployed backend first, as a rejection asks, and is rolled back when production's tests fail (${who})`, options, async (w) => {
    await w.yesterday();
    await w.github.merge({ number: 12, title: 'Sum orders twice as fast', sha: w.v2 });
    const run = await w.run(2);
    assert.deepEqual([run.pipeline, run.agent, run.requester, run.title], ['shop', null, 'person:bob', '#12 Sum orders twice as fast']);

    // The proposal says what, from which commit to which, and who may decide.
    const { message } = await w.openCard('deploy_frontend');
    const words = w.slack.words(message);
    for (const part of ['deploybot proposes', 'deploy_frontend', w.v2, `${w.v1.slice(0, 7)}\` → \`${w.v2.slice(0, 7)}`, 'Sum orders twice as fast (#12)', '1 deployer (not the requester)', 'Bob Okoye']) assert.ok(words.includes(part), `${part} is in ${words}`);
    assert.deepEqual(w.slack.buttons(message), ['Approve', 'Reject']);
    assert.ok(message.metadata.event_payload.id.startsWith('d_'));
    const status = w.slack.messages(DEPLOYS).find((m) => m.text.startsWith('shop run 2'));
    assert.equal(message.thread_ts, status.ts, 'the card is in the conversation of the run');
    assert.equal(w.holds('production', 'frontend'), w.v1, 'nothing ran yet');

    const rejected = await w.reject('deploy_frontend', 'can you deploy the backend first?');
    assert.match(w.slack.words(rejected.message), /Rejected.* by Alice Ng/);
    assert.match(w.slack.words(rejected.message), /can you deploy the backend first\?/);
    assert.equal(rejected.message.edits.length >= 1, true);

    const backend = await w.approve('deploy_backend');
    assert.match(w.slack.words(backend.message), /Approved.* by Alice Ng/);
    await until(() => w.holds('production', 'backend') === w.v2, 'the backend to be deployed');
    assert.equal(w.holds('production', 'frontend'), w.v1, 'the frontend waits for its own sign-off');
    await w.approve('deploy_frontend');

    // Production's tests fail: rollback begins with the failure before its eyes.
    const { message: back, request } = await w.openCard('roll_back_backend');
    assert.equal(request.arguments.sha, w.v1);
    assert.match(w.slack.words(back), /DOWNGRADE/);
    assert.match(w.slack.words(back), /It ran there before, until .*ended ok/);
    const rollback = await w.child(run, 'rollback');
    const context = (await w.get(`/v1/threads/${rollback.id}/context`)).text;
    assert.match(context, /FAILED: the page says 'Total: 41\.50 EUR', the ledger says 'Total: 42\.00 EUR'/);
    await w.approve('roll_back_backend');

    const end = await w.ended(run);
    assert.deepEqual([end.status, end.outcome], ['failed', 'rolled_back']);
    assert.deepEqual([w.holds('production', 'backend'), w.holds('production', 'frontend'), w.holds('staging', 'backend'), w.holds('staging', 'frontend')], [w.v1, w.v2, w.v2, w.v2]);

    // One status message, edited as stages moved; the report is a message of its own.
    await until(() => /rolled_back/.test(status.text), 'the status message to say how it ended');
    assert.equal(w.slack.messages(DEPLOYS).filter((m) => m.text.startsWith('shop run 2')).length, 1);
    assert.ok(status.edits.length >= 3, `edited as stages moved: ${status.edits.length}`);
    assert.match(status.text, /e2e-production: passed \(rollback was called\)/);
    await until(() => w.slack.thread(DEPLOYS, status.ts).some((m) => /^Run 2 .*rolled_back/.test(m.text)), 'the report');

    // The log says all of it, in order, and nobody can change it unseen.
    const stages = (await w.eventsOf(run.id, 'stage_finished')).map((e) => [e.data.stage, e.data.outcome]);
    assert.deepEqual(stages, [['deploy-staging', 'ok'], ['e2e-staging', 'ok'], ['deploy-production', 'ok'], ['e2e-production', 'failed'], ['e2e-production', 'ok']]);
    const deploybot = await w.child(run, 'deploybot');
    const decided = (await w.eventsOf(deploybot.id, 'request_decided')).map((e) => [e.actor, e.data.tool, e.data.outcome, e.data.comment]);
    assert.deepEqual(decided, [['person:alice', 'deploy_frontend', 'rejected', 'can you deploy the backend first?'], ['person:alice', 'deploy_backend', 'approved', undefined], ['person:alice', 'deploy_frontend', 'approved', undefined]]);
    for (const id of [deploybot.id, rollback.id]) {
      const events = await w.events(id);
      assert.deepEqual(events.map((e) => e.seq), events.map((_, i) => i + 1));
      for (const e of events.filter((x) => x.type === 'tool_started' && x.data.request)) {
        const votes = events.filter((v) => v.type === 'vote' && v.data.request === e.data.request && v.seq < e.seq);
        assert.equal(votes.length, 1, 'nothing started without its vote');
      }
    }
    assert.equal((await w.events(run.id))[0].data.number, 12);
    await w.auditIsWhole();
    if (w.model) {
      const asked = w.model.calls.map((c) => c.request);
      assert.ok(asked.every((r) => r.body.model === 'gpt-4o' && r.body.response_format.json_schema.strict === true));
      assert.ok((await w.thread(deploybot.id)).tokens >= 450, 'its tokens are counted');
    } else assert.equal((await w.thread(deploybot.id)).tokens, 0);
  });

test('`signoff demo --auto` tells the story against nothing but git and sh', { timeout: 90000, skip: process.env.SIGNOFF_SLACK === 'socket' }, async () => {
  const { stdout } = await promisify(execFile)(signoff, ['demo', '--auto'], { cwd: tmpdir(), timeout: 80000, env: { PATH: process.env.PATH, HOME: tmpdir() } });
  const lines = ['merged #12', 'deploybot +proposes deploy_frontend', 'can you deploy the backend first\\?', 'proposes deploy_backend', 'approved deploy_backend', 'approved deploy_frontend', 'FAILED: the page says', 'proposes roll_back_backend', 'rolled_back'];
  assert.match(stdout, new RegExp(lines.join('[\\s\\S]*')));
  assert.doesNotMatch(stdout, /WRONG/);
});

story(test, 'Staging tests that fail end the run: the report has the stage, the exit and the tail', {}, async (w) => {
  w.file('environments/staging/ledger', '99.00');
  await w.github.merge({ number: 12, title: 'Sum orders twice as fast', sha: w.v2 });
  const run = await w.ended(await w.run(1));
  assert.deepEqual([run.status, run.outcome], ['failed', 'failed']);
  const [report] = await until(() => {
    const found = w.slack.messages(DEPLOYS).filter((m) => /^Run 1 /.test(m.text));
    return found.length && found;
  }, 'the report');
  for (const part of ['e2e-staging', 'exit 1', "the ledger says 'Total: 99.00 EUR'"]) assert.ok(w.slack.words(report).includes(part), `${part} is in ${w.slack.words(report)}`);
  assert.ok(w.slack.words(report).includes('/threads/'), `the report has a link: ${w.slack.words(report)}`);
  assert.equal(await w.requests('open').then((r) => r.length), 0);
  assert.equal(w.holds('production', 'backend'), null);
  assert.equal((await w.get('/v1/environments')).environments.find((e) => e.name === 'staging').held_by, null);
});

story(test, 'Merges that pile up are coalesced to the newest, and the environment is held by one run at a time', {}, async (w) => {
  const shas = [await w.goodCommit('One'), await w.goodCommit('Two'), await w.goodCommit('Three')];
  // The first one is held up in staging until its tests may end.
  w.file('e2e.sh', '#!/bin/sh\nwhile [ ! -e "$(dirname "$0")/go" ]; do sleep 0.05; done\nexit 0\n', 0o755);
  await w.github.merge({ number: 21, title: 'One', sha: shas[0] });
  const first = await w.run(1);
  await until(async () => (await w.eventsOf(first.id, 'stage_started')).length === 2, 'the first run to test');
  await Promise.all([w.github.merge({ number: 22, title: 'Two', sha: shas[1] }), w.github.merge({ number: 23, title: 'Three', sha: shas[2] })]);
  const waiting = await until(async () => {
    const list = (await w.threads()).filter((t) => t.pipeline && t.run > 1);
    return list.length === 2 && list.some((t) => t.status === 'cancelled') && list.find((t) => t.status === 'waiting');
  }, 'one of the two to be superseded');
  assert.equal(waiting.waiting_for.kind, 'environment');
  assert.equal(waiting.waiting_for.what, 'staging');
  assert.match(JSON.stringify(waiting.waiting_for), /run 1\b/, 'it says for whom it waits');
  const over = (await w.threads()).find((t) => t.status === 'cancelled');
  assert.equal(over.outcome, 'superseded');
  assert.ok(over.run < waiting.run, 'the newest goes on');
  await until(() => w.slack.messages(DEPLOYS).some((m) => m.text.startsWith(`shop run ${waiting.run}`) && /waits for run 1/.test(m.text)), 'the status message to say "waits for run 1"');
  const staging = (await w.get('/v1/environments')).environments.find((e) => e.name === 'staging');
  assert.equal(staging.held_by, first.id);
  assert.deepEqual(staging.queue, [waiting.id]);
  assert.equal(w.holds('staging', 'backend'), shas[0], 'nobody deployed into the held environment');
  w.file('go', '');
  await until(() => w.holds('staging', 'backend') === shas[2] || w.holds('staging', 'backend') === shas[1], 'staging to be passed on');
  assert.equal((await w.eventsOf(over.id, 'stage_started')).length, 0, 'the superseded run never began');
});

story(test, 'A rejection with other words makes the agent ask a person, who answers by a button', {}, async (w) => {
  const sha = await w.goodCommit();
  await w.github.merge({ number: 31, title: 'Explain the total', sha });
  await w.reject('deploy_frontend', 'not on a Friday');
  const { request, message } = await w.openCard('question');
  assert.match(w.slack.words(message), /You rejected deploy_frontend: "not on a Friday"\. What should I do instead\?/);
  assert.deepEqual(w.slack.buttons(message), ['deploy the backend first', 'deploy the frontend first', 'stop']);
  await w.slack.click({ user: ALICE, message, what: 'deploy the backend first' });
  await w.open('deploy_backend');
  const answered = await w.get(`/v1/requests/${request.id}`);
  assert.deepEqual([answered.status, answered.answer, answered.decided_by], ['answered', 'deploy the backend first', 'person:alice']);
  await until(() => w.slack.buttons(message).length === 0, 'the buttons to go');
  assert.match(w.slack.words(message), /Answered.* by Alice Ng/);
  // Another step is rejected, and this time the answer is that it shall stop.
  await w.reject('deploy_backend', 'and not on a Monday either');
  const again = await w.openCard('question');
  await w.slack.click({ user: ALICE, message: again.message, what: 'stop' });
  const run = await w.ended(await w.run(1));
  assert.deepEqual([run.status, run.outcome], ['done', 'skipped']);
  assert.match(JSON.stringify(await w.eventsOf(run.id, 'finished')), /Stopped as asked/);
  assert.equal(w.holds('production', 'backend'), null);
});

story(test, 'A rejection in plain words "stop" ends it, without another question', {}, async (w) => {
  const sha = await w.goodCommit();
  await w.github.merge({ number: 32, title: 'Explain the total', sha });
  await w.reject('deploy_frontend', 'Stop, please.');
  const run = await w.ended(await w.run(1));
  assert.deepEqual([run.status, run.outcome], ['done', 'skipped']);
  assert.equal((await w.requests()).length, 1);
});

story(test, 'Words in the thread instead of a click change the plan: the old card says that it is withdrawn', {}, async (w) => {
  const sha = await w.goodCommit();
  await w.github.merge({ number: 33, title: 'Explain the total', sha });
  const { request, message } = await w.openCard('deploy_frontend');
  await w.slack.say({ user: ALICE, channel: DEPLOYS, thread_ts: message.thread_ts, text: 'backend first?' });
  const next = await w.openCard('deploy_backend');
  const old = await w.get(`/v1/requests/${request.id}`);
  assert.equal(old.status, 'cancelled');
  await until(() => w.slack.buttons(message).length === 0, 'the old card to lose its buttons');
  assert.match(w.slack.words(message), /withdrawn|cancelled/i);
  assert.match(w.slack.words(message), /deploy_backend/, 'the old card says by what');
  // A late click on what somebody still has on the screen is answered, and changes nothing.
  const stale = { ...message, blocks: message.edits[0].blocks };
  await w.slack.click({ user: ALICE, message, stale, what: 'Approve' });
  await w.ephemeral(ALICE, /cancelled/);
  assert.equal((await w.get(`/v1/requests/${request.id}`)).status, 'cancelled');
  assert.equal((await w.get(`/v1/requests/${next.request.id}`)).status, 'open');
  // Thanks change nothing.
  await w.slack.say({ user: ALICE, channel: DEPLOYS, thread_ts: message.thread_ts, text: 'thanks' });
  const deploybot = await w.child(await w.run(1), 'deploybot');
  await until(async () => (await w.eventsOf(deploybot.id, 'step')).some((e) => e.data.intent === 'keep_waiting'), 'the agent to keep waiting');
  assert.equal((await w.get(`/v1/requests/${next.request.id}`)).status, 'open');
});

story(test, 'A mention starts a thread, asks what is meant, and takes the answer of a button', {}, async (w) => {
  await w.yesterday();
  const mention = await w.slack.say({ user: 'U0BOB', channel: DEPLOYS, mention: true, text: 'please deploy something' });
  const { request, message } = await w.openCard('question');
  assert.equal(message.thread_ts, mention.ts, 'it answers under the mention');
  assert.deepEqual(w.slack.buttons(message), ['backend', 'frontend', 'both', 'nothing']);
  const threads = (await w.threads()).filter((t) => t.agent === 'deploybot' && !t.parent);
  assert.equal(threads.length, 1, 'one mention under two event ids is one thread');
  assert.equal(threads[0].requester, 'person:bob');
  assert.equal((await w.eventsOf(threads[0].id, 'slack_message')).length, 1);
  await w.slack.click({ user: 'U0BOB', message, what: 'nothing' });
  await w.ended(threads[0]);
  assert.equal((await w.get(`/v1/requests/${request.id}`)).answer, 'nothing');
  await until(() => w.slack.thread(DEPLOYS, mention.ts).some((m) => /Stopped as asked/.test(m.text)), 'its last words in the conversation');
});

story(test, 'A downgrade by a short commit id: the card says so, and names the whole commit', {}, async (w) => {
  await w.yesterday();
  const good = await w.goodCommit();
  await w.github.merge({ number: 41, title: 'Explain the total', sha: good });
  await w.approve('deploy_frontend');
  await w.approve('deploy_backend');
  assert.equal((await w.ended(await w.run(2))).outcome, 'done');
  await w.slack.say({ user: 'U0BOB', channel: DEPLOYS, mention: true, text: `deploy the backend at ${w.v1.slice(0, 8)}` });
  const { request, message } = await w.openCard('deploy_backend');
  assert.equal(request.arguments.sha, w.v1);
  assert.match(w.slack.words(message), /This is a DOWNGRADE\*?: it takes back 2 commits/);
  assert.match(w.slack.words(message), /Explain the total/, 'it names what is taken back');
  assert.match(w.slack.words(message), /It ran there before, until/);
  await w.approve('deploy_backend');
  await until(() => w.holds('production', 'backend') === w.v1, 'the old backend');
});

story(test, 'A short commit id that nobody knows is not asked about: a person hears of it', {}, async (w) => {
  await w.yesterday();
  await w.slack.say({ user: 'U0BOB', channel: DEPLOYS, mention: true, text: 'deploy the backend at 1234567' });
  const { message } = await w.openCard('question');
  assert.match(w.slack.words(message), /Which commit should I deploy/);
  assert.equal((await w.requests('open')).length, 1);
});

story(test, 'A commit that staging has not seen is refused by production, with the reason', {}, async (w) => {
  const sha = await w.goodCommit();
  await w.slack.say({ user: 'U0BOB', channel: DEPLOYS, mention: true, text: `deploy the backend at ${sha}` });
  await until(async () => (await w.threads()).length === 1, 'the thread');
  const [thread] = await w.threads();
  await until(async () => {
    const all = JSON.stringify((await w.events(thread.id)).filter((e) => e.for_agent));
    return /takes only commits that passed on staging/.test(all) || ((await w.requests('open')).length && (await w.requests('open'))[0].tool);
  }, 'the refusal, or a card');
  const open = (await w.requests('open'))[0];
  if (open?.tool) await w.approve(open.tool); // asked first: then refused when it would run
  await until(async () => /takes only commits that passed on staging/.test(JSON.stringify((await w.events(thread.id)).filter((e) => e.for_agent))), 'the refusal');
  assert.equal(w.holds('production', 'backend'), null);
});
