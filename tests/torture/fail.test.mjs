// Fail at every write, the short form: the disk is full, the disk is broken, nothing can be started.
// `./run torture` takes every moment, and also failures that come alone.
import { FAILURES } from './plan.mjs';
import { sample } from './sample.mjs';

sample('Failing', FAILURES.filter((line) => /6 times/.test(line.name)), 2);
