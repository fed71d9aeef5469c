// What a page gains with script: it moves by itself. Without it everything works by loading again.
'use strict';
(() => {
  // "4 minutes ago" goes on counting. The server wrote the first one.
  const units = [['day', 86400], ['hour', 3600], ['minute', 60], ['second', 1]];
  const ago = (then) => {
    const away = (Date.now() - then) / 1000;
    for (const [name, seconds] of units) {
      const n = away < 0 ? Math.round(-away / seconds) : Math.floor(away / seconds);
      if (n === 0 || Math.abs(away) < 2) continue;
      const amount = n === 1 ? `1 ${name}` : `${n} ${name}s`;
      return away < 0 ? `in ${amount}` : `${amount} ago`;
    }
    return 'just now';
  };
  const tell = () => {
    for (const time of document.querySelectorAll('time[data-ago]')) {
      const words = ago(Date.parse(time.dateTime));
      if (time.textContent !== words) time.textContent = words;
    }
    for (const time of document.querySelectorAll('time[data-clock]')) {
      const there = new Date(time.dateTime);
      time.textContent = there.toLocaleTimeString([], {hour12: false});
      time.title = there.toLocaleString();
    }
    for (const note of document.querySelectorAll('[data-utc]')) note.hidden = true;
  };
  tell();
  setInterval(tell, 15000);

  // Only what changed is replaced, so that a reader's place, focus and screen reader stay calm.
  const same = (a, b) => {
    const [x, y] = [a, b].map((node) => {
      const copy = node.cloneNode(true);
      for (const time of copy.querySelectorAll('time')) time.replaceWith(time.dateTime);
      for (const note of copy.querySelectorAll('[data-utc]')) note.remove();
      return copy.outerHTML;
    });
    return x === y;
  };
  const merge = (from, to) => {
    const old = new Map([...to.children].map((node) => [node.dataset.key, node]));
    let at = to.firstElementChild;
    for (const node of [...from.children]) {
      const was = old.get(node.dataset.key);
      old.delete(node.dataset.key);
      if (was === undefined) {
        to.insertBefore(node, at);
      } else {
        if (was === at) at = at.nextElementSibling;
        else to.insertBefore(was, at);
        if (!same(was, node) && was.dataset.keyed !== undefined) merge(node, was);
        else if (!same(was, node) && !was.contains(document.activeElement)) was.replaceWith(node);
      }
    }
    for (const node of old.values()) node.remove();
  };

  // Who opens the form wants to write in it.
  document.addEventListener('toggle', (event) => {
    const field = event.target.open ? event.target.querySelector('textarea') : null;
    if (field !== null) field.focus();
  }, true);

  const live = document.getElementById('live');
  if (live === null || window.EventSource === undefined) return;
  let busy = false;
  let again = false;
  const load = async () => {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      const answer = await fetch(live.dataset.part, {credentials: 'same-origin'});
      if (answer.status === 401) location.reload();
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      merge(page.body, live);
      tell();
    } catch (error) {
      // The next change tries once more.
    } finally {
      busy = false;
      if (again) {
        again = false;
        load();
      }
    }
  };
  const stream = new EventSource(live.dataset.stream);
  let opened = false;
  stream.addEventListener('changed', load);
  stream.addEventListener('open', () => {
    if (opened) load(); // what happened while we were away
    opened = true;
  });
  window.addEventListener('pagehide', () => stream.close());
  window.addEventListener('pageshow', (event) => {
    if (event.persisted) location.reload();
  });
})();
