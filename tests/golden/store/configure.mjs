// What the stored stores were recorded with. Commits get fixed times, so that the shop's commits are
// the same ones whenever it is made again; what is open stays open however long ago that was.
process.env.GIT_AUTHOR_DATE = '2026-01-05T10:00:00Z';
process.env.GIT_COMMITTER_DATE = '2026-01-05T10:00:00Z';

export function configure(config) {
  config.policies['prod-signoff'].on_expire = 'keep';
  for (const agent of Object.values(config.agents)) agent.limits = { ...agent.limits, max_age: '3650d' };
  delete config.environments.production.promote_from;
}
