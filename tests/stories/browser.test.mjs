// People decide on pages: a real browser goes through the story. Nothing is loaded from elsewhere,
// no policy of the page is broken, and without script a reload shows the same.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { story, until } from './lib.mjs';

const screenshots = fileURLToPath(new URL('../../build/screenshots/', import.meta.url));
const phone = { width: 390, height: 844 };
const desk = { width: 1280, height: 900 };

// A browser of its own, whose every request and complaint is kept.
async function browse(world, options = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'signoff-browser-'));
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true, viewport: desk, ...options,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'],
  });
  const seen = { foreign: [], loads: 0, complaints: [] };
  context.on('request', (r) => {
    if (!r.url().startsWith(world.url) && !r.url().startsWith('data:')) seen.foreign.push(r.url());
    if (r.isNavigationRequest()) seen.loads++;
  });
  context.on('console', (m) => {
    if (['error', 'warning'].includes(m.type())) seen.complaints.push(m.text());
  });
  context.on('weberror', (e) => seen.complaints.push(String(e.error())));
  await context.addInitScript(() => document.addEventListener('securitypolicyviolation', (e) => console.error(`CSP ${e.violatedDirective} ${e.blockedURI}`)));
  const page = context.pages()[0] ?? await context.newPage();
  return {
    page, context, seen,
    async close() {
      await context.close();
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

const onWeb = (config) => {
  for (const policy of Object.values(config.policies)) policy.ask = [{ channel: 'inbox', to: 'role:deployer' }];
  delete config.pipelines.shop.report;
};

async function signIn(world, page, person = 'alice') {
  const link = await world.call('POST', `/v1/people/${person}/login`, {});
  await page.goto(link.body.url);
  await page.getByRole('button', { name: /Sign in as Alice Ng/ }).click();
  await page.waitForURL(`${world.url}/`);
}

async function shoot(page, name) {
  mkdirSync(screenshots, { recursive: true });
  for (const [device, viewport] of [['phone', phone], ['desk', desk]])
    for (const colorScheme of ['light', 'dark']) {
      await page.setViewportSize(viewport);
      await page.emulateMedia({ colorScheme });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(wide <= 0, `${name} is ${wide} px too wide on the ${device}`);
      await page.screenshot({ path: join(screenshots, `${name}-${device}-${colorScheme}.png`), fullPage: true });
    }
  await page.setViewportSize(desk);
  await page.emulateMedia({ colorScheme: 'light' });
}

const openRequest = (w, page, tool) => until(async () => {
  const request = await w.open(tool);
  await page.goto(`${w.url}/requests/${request.id}`);
  return request;
}, `the request for ${tool}`);

async function play(w, page) {
  await openRequest(w, page, 'deploy_frontend');
  await page.getByRole('button', { name: 'Approve' }).click();
  await page.waitForURL(/result=/);
}

story(test, 'Alice signs in by a link, rejects with words, approves, and watches the thread move by itself', { configure: onWeb, timeout: 120000 }, async (w) => {
  const { page, seen, close } = await browse(w);
  try {
    // Without a session there is the sign-in page, and nothing else.
    await page.goto(`${w.url}/`);
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await shoot(page, 'sign-in');
    await signIn(w, page);
    await page.getByText('Nothing waits for you').waitFor();

    // The inbox fills while it is looked at.
    let loads = seen.loads;
    const sha = await w.goodCommit();
    await w.github.merge({ number: 31, title: 'Explain the total', sha });
    const card = page.getByText('deploy_frontend').first();
    await card.waitFor({ timeout: 15000 });
    assert.equal(seen.loads, loads, 'without a reload');
    await shoot(page, 'inbox');

    // Reject with words.
    const first = await w.open('deploy_frontend');
    await page.goto(`${w.url}/requests/${first.id}`);
    await page.getByText(sha).first().waitFor();
    await shoot(page, 'request');
    await page.getByText('Reject…').click();
    await page.getByLabel(/Why\?/).fill('can you deploy the backend first?');
    await shoot(page, 'request-reject');
    await page.getByRole('button', { name: 'Reject', exact: true }).click();
    await page.waitForURL(/result=/);
    const rejected = await w.get(`/v1/requests/${first.id}`);
    assert.deepEqual([rejected.status, rejected.comment, rejected.decided_by, rejected.votes[0].via], ['rejected', 'can you deploy the backend first?', 'person:alice', 'web']);
    await page.getByText('can you deploy the backend first?').first().waitFor();
    assert.equal(await page.getByRole('button', { name: 'Approve' }).count(), 0, 'a decided request has no buttons');

    // The thread's page moves by itself: approved by key, it shows the new events.
    const backend = await w.open('deploy_backend');
    await page.goto(`${w.url}/threads/${backend.thread}`);
    await page.getByText('deploy_backend').first().waitFor();
    loads = seen.loads;
    assert.equal(await page.getByText(/backend in production is now/).count(), 0);
    await w.decide(backend, 'approve');
    const frontend = await w.open('deploy_frontend');
    await page.getByText(new RegExp(`${frontend.code}`)).first().waitFor({ timeout: 15000 });
    assert.equal(seen.loads, loads, 'the page was not loaded again');
    await shoot(page, 'thread');

    // Approve on the page; another tab that still shows the form hears that it is too late.
    await page.goto(`${w.url}/requests/${frontend.id}`);
    const other = await page.context().newPage();
    await other.route('**/stream', (route) => route.abort()); // it does not hear of the change
    await other.goto(`${w.url}/requests/${frontend.id}`);
    await page.getByRole('button', { name: 'Approve' }).click();
    await page.waitForURL(/result=decided/);
    await page.getByText(/Approved/).first().waitFor();
    await other.getByText('Reject…').click();
    await other.getByLabel(/Why\?/).fill('wait');
    await other.getByRole('button', { name: 'Reject', exact: true }).click();
    await other.waitForURL(/result=too_late/);
    await other.getByText(/Alice Ng/).first().waitFor();
    await other.close();
    const run = await w.ended(await w.run(1));
    assert.equal(run.outcome, 'done');
    assert.equal(w.holds('production', 'frontend'), sha);
    await page.goto(`${w.url}/threads/${run.id}`);
    await page.getByText('e2e-production').first().waitFor();
    await shoot(page, 'run');

    assert.deepEqual(seen.foreign, [], 'nothing is loaded from elsewhere');
    const expected = [/status of 401/, /net::ERR_FAILED/]; // the sign-in page; the tab that we kept from hearing
    assert.deepEqual(seen.complaints.filter((c) => !expected.some((e) => e.test(c))), [], 'the browser complains of nothing');
    assert.ok(seen.complaints.filter((c) => expected[0].test(c)).length <= 1);
  } finally {
    await close();
  }
});

story(test, 'Without script everything works by loading again', { configure: onWeb, timeout: 90000 }, async (w) => {
  const { page, seen, close } = await browse(w, { javaScriptEnabled: false });
  try {
    await signIn(w, page);
    const sha = await w.goodCommit();
    await w.github.merge({ number: 32, title: 'Explain the total', sha });
    await w.open('deploy_frontend');
    assert.equal(await page.getByText('deploy_frontend').count(), 0);
    await page.reload();
    await page.getByText('deploy_frontend').first().waitFor();
    await play(w, page);
    await until(() => w.holds('production', 'frontend') === sha, 'the deployment');
    const backend = await w.open('deploy_backend');
    await page.goto(`${w.url}/requests/${backend.id}`);
    await page.getByText('Reject…').click(); // details and summary need no script
    await page.getByLabel(/Why\?/).fill('stop');
    await page.getByRole('button', { name: 'Reject', exact: true }).click();
    await page.waitForURL(/result=/);
    assert.equal((await w.get(`/v1/requests/${backend.id}`)).status, 'rejected');
    await w.ended({ id: backend.thread, title: 'deploybot' });
    await page.goto(`${w.url}/threads/${backend.thread}`);
    await page.getByText('Stopped as asked').first().waitFor();
    assert.deepEqual(seen.foreign, []);
    assert.deepEqual(seen.complaints, []);
  } finally {
    await close();
  }
});

story(test, 'A question is answered by its buttons, and hostile words are only words', { configure: onWeb, timeout: 90000 }, async (w) => {
  const { page, seen, close } = await browse(w);
  try {
    await page.context().addInitScript(() => { window.hostile = () => { document.title = 'taken over'; }; });
    await signIn(w, page);
    const words = 'deploy it </title><script>hostile()</script><img src=x onerror=hostile()> <svg onload=hostile()> &lt;b&gt; \u202egnp.exe';
    await w.call('POST', '/v1/threads', { agent: 'deploybot', message: words }, w.key.bob);
    const question = await w.open('question');
    for (const path of ['/', `/threads/${question.thread}`, `/requests/${question.id}`]) {
      await page.goto(w.url + path);
      await page.waitForLoadState('networkidle', { timeout: 1500 }).catch(() => {}); // the stream stays open
      assert.notEqual(await page.title(), 'taken over');
      assert.equal(await page.locator('img, iframe, object').count(), 0, 'no element came out of words');
      assert.ok(!(await page.content()).includes('\u202e'), 'nothing turns the direction of the text');
    }
    await page.goto(`${w.url}/threads/${question.thread}`);
    await page.getByText('<script>hostile()</script>').first().waitFor();
    await page.goto(`${w.url}/requests/${question.id}`);
    await shoot(page, 'question');
    await page.getByRole('button', { name: 'nothing' }).click();
    await page.waitForURL(/result=/);
    assert.equal((await w.get(`/v1/requests/${question.id}`)).answer, 'nothing');
    assert.deepEqual(seen.foreign, []);
    assert.deepEqual(seen.complaints, []);
  } finally {
    await close();
  }
});
