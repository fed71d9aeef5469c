// What is tortured, and how: each line is one kind of moment of the story, in one of its two worlds;
// run(template, [n …]) plays the story and does it at those of its moments. The full form (torture.mjs)
// takes every n of every line, each in a story of its own; the tests a spread sample.
import { MOMENTS, round } from './world.mjs';

const kills = (kind, points) => points.map((point) => ({ name: `${kind}: kill at ${point}`, kind, count: (b) => b.board[point], reached: (r) => r.board.fired > 0, run: (t, ns) => round(kind, t, { orders: ns.map((n) => `kill:${point}:${n}`).join(';') }) }));

// A runner that is slower than its gateway's restart must not begin any more.
const late = (kind) => ({ name: `${kind}: kill at spawned, and the runner comes late`, kind, count: (b) => b.board.spawned, reached: (r) => r.board.fired > 0, run: (t, [n]) => round(kind, t, { orders: `late:spawn:${n}:1500;kill:spawned:${n}`, wait: 2000 }) });

const calls = (standIn) => MOMENTS.map((moment) => ({
  name: `standins: kill ${{ before: 'before', acted: 'while', answered: 'after' }[moment]} ${standIn} ${{ before: 'acts', acted: 'answers', answered: 'answered' }[moment]}`,
  kind: 'standins', count: (b) => b.calls[standIn], reached: (r) => r.kills > 0, run: (t, ns) => round('standins', t, { arrange: (x) => x.killAtCalls(standIn, moment, ns) }),
}));

const often = (kind, point, every) => ({ name: `${kind}: kill at every ${every}th ${point} from the n-th on`, kind, most: every, count: () => every, reached: (r) => r.board.fired > 0, run: (t, [n]) => round(kind, t, { orders: `kill:${point}:${n + 2}:${every}`, ms: 120000 }) });

const fails = (kind, point, error, times) => ({
  name: `${kind}: ${error} at ${point}${times > 1 ? `, ${times} times` : ''}`, kind, count: (b) => b.board[point], reached: (r) => r.board.fired > 0,
  run: (t, ns) => round(kind, t, { orders: ns.map((n) => `fail:${point}:${n}:${error}:${times}`).join(';'), mayFail: true }),
});

export const KILLS = [
  ...kills('standins', ['commit', 'torn', 'sync', 'spawn', 'spawned', 'send', 'forget', 'runner']),
  late('standins'),
  ...['slack', 'model', 'github'].flatMap(calls),
  often('standins', 'commit', 11),
  ...kills('demo', ['commit', 'torn', 'sync', 'spawn', 'spawned', 'send', 'forget', 'runner']),
  often('demo', 'commit', 9),
];

// Once: nobody may notice. Six times: longer than a round and its second try, so that the doors close.
export const FAILURES = [1, 6].flatMap((times) => [
  fails('standins', 'commit', 'ENOSPC', times), fails('standins', 'torn', 'ENOSPC', times), fails('standins', 'sync', 'EIO', times), fails('standins', 'read', 'EIO', times),
  fails('standins', 'spawn', 'EAGAIN', times), fails('standins', 'order', 'EMFILE', times), fails('standins', 'runner', 'ENOSPC', times),
  fails('demo', 'commit', 'EIO', times), fails('demo', 'spawn', 'EAGAIN', times),
]);
