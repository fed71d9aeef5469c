// The deploy story, word for word, with Slack on its Socket Mode.
process.env.SIGNOFF_SLACK = 'socket';
await import('./deploy.test.mjs');
