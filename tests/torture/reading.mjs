// reading.mjs URL KEY COOKIE: lists everything over the API and the pages, over and over, until it is
// ended. A process of its own, so that who measures answers is not slowed by reading them.
import { setTimeout as sleep } from 'node:timers/promises';

const [url, key, cookie] = process.argv.slice(2);
let pages = 0;

async function read(path, headers) {
  const answer = await fetch(url + path, { headers });
  if (answer.status === 429) {
    await sleep(1000); // one key reads so much a minute
    return read(path, headers);
  }
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${text.slice(0, 200)}`);
  pages++;
  return text;
}

async function listApi(name, query) {
  for (;;)
    for (let next = ''; next !== null;) next = JSON.parse(await read(`/v1/${name}?limit=500&${query}${next && `&cursor=${encodeURIComponent(next)}`}`, { Authorization: `Bearer ${key}` })).next;
}

// The inbox, and every thread that it links to.
async function listPages() {
  for (;;) {
    const html = await read('/', { Cookie: cookie });
    for (const [, path] of html.matchAll(/href="(\/(?:threads|requests)\/[a-z0-9_]+)"/g)) await read(path, { Cookie: cookie });
  }
}

process.on('SIGTERM', () => {
  console.log(pages);
  process.exit(0);
});
await Promise.all([listApi('threads', ''), listApi('requests', 'status=open'), listApi('threads', 'agent=rollback'), listPages()]);
