// Every schema that was ever released is opened by the program of now: its chain stays whole, what was
// open can be decided and runs; and a program that is older than its store keeps its hands off.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { configure } from '../golden/store/configure.mjs';
import { story, until } from './lib.mjs';

const folder = fileURLToPath(new URL('../golden/store/', import.meta.url));
const stores = readdirSync(folder).filter((name) => name.endsWith('.sql')).sort();

test('The first version is there', () => assert.ok(stores.includes('version-1.sql')));

for (const name of stores) {
  const version = Number(/version-(\d+)/.exec(name)[1]);
  story(test, `A store of schema ${version} is opened, brought on, and goes on where it stood`, { configure, start: false }, async (w) => {
    w.expectedComplaints = /message_not_found|thread_not_found|channel_not_found/; // this Slack never saw the old cards
    await w.restore(join(folder, name));
    const hashes = async () => (await w.rows('SELECT hash FROM events')).map((e) => e.hash);
    const before = await hashes();
    assert.ok(before.length > 100);
    const looked = await w.cli(['audit', 'verify']);
    if (looked.code !== 0) assert.match(looked.stderr, new RegExp(`it has schema ${version} and this program works with \\d+: .signoff serve. brings it there`));
    assert.equal((await w.cli(['check'])).code, 0, 'an older store is no mistake');
    await w.start();
    await w.auditIsWhole();
    const [{ schema }] = await w.rows("SELECT value AS schema FROM meta WHERE key = 'schema'");
    assert.ok(Number(schema) >= version);
    const after = new Set(await hashes());
    assert.ok(before.every((hash) => after.has(hash)), 'nothing of it is lost');
    const shown = await w.threads();
    assert.equal(shown.find((t) => t.run === 1).outcome, 'done');

    // The open question is answered, the open call is signed off and runs.
    const open = await w.requests('open');
    assert.deepEqual(open.map((r) => r.kind).sort(), ['approval', 'question']);
    const question = open.find((r) => r.kind === 'question'), call = open.find((r) => r.kind === 'approval');
    assert.equal((await w.decide(question, 'answer', { answer: 'yes' })).status, 200);
    assert.equal(call.arguments.sha, w.v2, 'the shop is the same one');
    assert.equal((await w.decide(call, 'approve')).status, 200);
    await until(() => w.holds('production', 'backend') === w.v2, 'the call to run');
    const ended = await w.ended({ id: call.thread, title: 'the open thread' });
    assert.equal(ended.status, 'done');

    // And new work begins.
    const { body: more } = await w.call('POST', '/v1/threads', { agent: 'deploybot', message: `deploy the frontend at ${w.v2}` }, w.key.bob);
    await w.decide(await w.open('deploy_frontend'), 'approve');
    assert.equal((await w.ended(more)).status, 'done');
    await w.stop();
    await w.auditIsWhole();
    assert.equal((await w.cli(['replay', 'all'])).code, 0, 'what the older program recorded comes out the same');
  });
}

story(test, 'A store of a newer program is refused by every command, with both versions and what to do', {}, async (w) => {
  await w.stop();
  const [{ schema }] = await w.rows("SELECT value AS schema FROM meta WHERE key = 'schema'");
  await w.sql("UPDATE meta SET value = value + 1 WHERE key = 'schema'");
  const sentence = new RegExp(`it has schema ${Number(schema) + 1} and this program knows up to ${schema}: run the newer program`);
  for (const command of [['serve'], ['check'], ['audit', 'verify'], ['threads'], ['show', 't_0123'], ['context', 't_0123'], ['replay', 'all'], ['backup', join(w.dir, 'copy.db')]]) {
    const { code, stdout, stderr } = await w.cli(command);
    assert.notEqual(code, 0, `${command[0]}: ${stdout}`);
    assert.match(stderr, sentence, command.join(' '));
    assert.doesNotMatch(stderr, /Sanitizer/);
  }
  const [{ now }] = await w.rows("SELECT value AS now FROM meta WHERE key = 'schema'");
  assert.equal(Number(now), Number(schema) + 1, 'nobody touched it');
  await w.sql("UPDATE meta SET value = value - 1 WHERE key = 'schema'");
});
