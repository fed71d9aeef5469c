// Kill at every write, the short form: SIGKILL at moments spread over the whole story. `./run torture`
// takes every one of them.
import { KILLS } from './plan.mjs';
import { sample } from './sample.mjs';

const demo = /demo: kill at (commit|sync|spawned|runner|every)/;
sample('Killed', KILLS.filter((line) => line.kind === 'standins' || demo.test(line.name)), 3);
