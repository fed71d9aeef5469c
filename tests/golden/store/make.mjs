// make.mjs NAME: records a store with a real story in it and writes it to NAME.sql beside this file,
// as text. Run once for each released schema, with the program of then:
//   SIGNOFF=…/signoff node tests/golden/store/make.mjs version-1
// The story: a run that went through, a thread that was rejected, answered and ended, and two
// requests that are still open. tests/stories/upgrade.test.mjs opens it with the program of now.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ALICE, World, until } from '../../stories/lib.mjs';
import { configure } from './configure.mjs';

const w = await World.begin({ configure });
w.replays = false; // older programs cannot
await w.yesterday();

// Rejected with words, planned again, and ended.
const say = async (message, key) => (await w.call('POST', '/v1/threads', { agent: 'deploybot', message }, key)).body;
const rejected = await say(`deploy the backend at ${w.v1}`, w.key.bob);
await w.reject('deploy_backend', 'stop', ALICE);
await w.ended(rejected);

// An answer that is kept aside because it is long, and one more thread that is still open.
const open = await say(`deploy the backend at ${w.v2}`, w.key.bob);
await w.open('deploy_backend');
const { body: long } = await w.call('POST', '/v1/requests', { kind: 'question', question: 'Which one?', state: 'x'.repeat(20000) });
await w.decide(long, 'answer', { answer: 'this one' });
const { body: pending } = await w.call('POST', '/v1/requests', { kind: 'question', question: 'Still there?' });
assert.equal(pending.status, 'open');
await until(async () => (await w.thread(open.id)).status === 'waiting', 'the open thread to wait');
await w.auditIsWhole();
await w.stop();
await w.auditIsWhole();
const name = join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, `${process.argv[2]}.sql`);
writeFileSync(name, `${await w.dump()}\n`);
await w.end();
console.log(`${name} is written`);
