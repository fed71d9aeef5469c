// Decisions and deliveries, word for word, with Slack on its Socket Mode.
process.env.SIGNOFF_SLACK = 'socket';
await import('./promises.test.mjs');
