import { useQuery } from '@tanstack/react-query';

import type { ProjectRow } from '../../../sdk-ts/src/api/views.js';
import { queries } from '../api/backend.js';
import { newest, type ProjectDay, useProjectDays } from '../api/days.js';
import { useNow } from '../api/now.js';
import { Link, useTitle } from '../router.js';
import { AddressText, Badge, Card, Copy, Empty, Facts, Failed, Loading, Moment, PageHead } from '../ui/bits.js';

/** How the network is: the backend, and how far each project's days have come. */
export function StatusPage() {
  useTitle('Status');
  const ready = useQuery(queries.ready());
  const network = useQuery(queries.network());
  const projects = useQuery(queries.projects());
  const now = useNow();
  const words = ready.data?.words ?? '';
  const told = ready.isError ? 'does not answer' : ready.data === undefined ? 'asking' : !ready.data.ok ? 'not ready' : words.includes('degraded') ? 'degraded' : 'ready';
  return (
    <>
      <PageHead kind="Status" title={told === 'ready' ? 'Everything runs' : told === 'asking' ? 'Asking the backend' : `The backend is ${told === 'does not answer' ? 'not reachable' : told}`} />
      <Card title="Backend" says="backend">
        <Facts
          facts={[
            ['State', <Badge key="s" tone={told === 'ready' ? 'good' : told === 'asking' ? 'plain' : told === 'degraded' ? 'wait' : 'bad'}>{told}</Badge>],
            ['Its clock', <Moment key="c" millis={now} />],
            ...(network.data === undefined ? [] : [
              ['Version', network.data.version.slice(0, 40)], ['Chain', `${network.data.chain_id}`],
              ['Registry', <AddressText key="r" address={network.data.registry} copy />],
              ['Receipt key', <AddressText key="k" address={network.data.receipt_key} copy />],
            ] as [string, React.ReactNode][]),
          ]}
        />
        {(told === 'degraded' || told === 'not ready') && <p className="words">{problemWords(words)}</p>}
      </Card>
      {projects.data === undefined
        ? projects.isError ? <Failed error={projects.error} what="the projects" /> : <Loading what="the projects" />
        : projects.data.length === 0 ? <Empty title="No project yet" /> : projects.data.slice(0, 50).map((project) => <ProjectStatus key={project.project} project={project} />)}
    </>
  );
}

/** A refusal is a problem document; its detail is for people. */
function problemWords(text: string): string {
  try {
    return String((JSON.parse(text) as { detail?: unknown }).detail ?? text);
  } catch {
    return text;
  }
}

type Step = 'active' | 'posted' | 'committed' | 'closed' | 'open' | 'revoked' | 'unknown';
const stepOf = ({ closed, commit }: ProjectDay): Step => {
  if (commit !== undefined) return commit.state === 'accepted' ? 'committed' : commit.state;
  return closed === undefined ? 'unknown' : closed ? 'closed' : 'open';
};
/** The further a day has come, the higher its bar. */
const HEIGHT: Record<Step, number> = { active: 20, posted: 16, committed: 12, closed: 8, open: 4, revoked: 20, unknown: 2 };

function ProjectStatus({ project }: { project: ProjectRow }) {
  const { days, roots, error } = useProjectDays(project, 90);
  const last = newest(roots);
  const closed = days.find((one) => one.closed);
  const bars = days.toReversed();
  const steps = (['active', 'posted', 'committed', 'closed', 'open', 'revoked', 'unknown'] as const)
    .map((step) => [step, bars.filter((one) => stepOf(one) === step).length] as const).filter(([, number]) => number > 0);
  return (
    <Card title={project.name} says="backend" tools={<Link to={`/projects/${project.name}`}>Project</Link>}>
      {error !== null && roots === undefined
        ? <Failed error={error} what="the commits" />
        : (
          <>
            <svg
              className="bars" viewBox="0 0 540 22" preserveAspectRatio="none" role="img"
              aria-label={`The last ${bars.length} days: ${steps.map(([step, number]) => `${number} ${step}`).join(', ')}`}
            >
              {bars.map((one, i) => {
                const step = stepOf(one);
                const x = 540 - (bars.length - i) * 6;
                return (
                  <rect key={one.day} className={`bar bar-${step}`} x={x + 0.75} y={21 - HEIGHT[step]} width="4.5" height={HEIGHT[step]}>
                    <title>{`${one.day}: ${step}`}</title>
                  </rect>
                );
              })}
            </svg>
            <p className="quiet">{bars.length === 1 ? 'One day' : `${bars.length} days`}: {steps.map(([step, number]) => `${number} ${step}`).join(' · ')}</p>
            <Facts
              facts={[
                ['Last closed day', closed?.day ?? 'none yet'],
                ['Last commit', last === undefined ? 'none yet' : <Link key="d" to={`/projects/${project.name}/days/${last.day}`}>{last.day}</Link>],
                ['Its state', last === undefined ? '–' : last.state],
                ['Active from', last?.activates_at_secs == null ? '–' : <Moment key="m" millis={Number(last.activates_at_secs) * 1000} />],
              ]}
            />
            <Embed name={project.name} />
          </>
        )}
    </Card>
  );
}

/** The project's badge for other people's pages. */
function Embed({ name }: { name: string }) {
  const path = `/v1/projects/${name}/badge`;
  const html = `<a href="${location.origin}/projects/${name}"><img src="${location.origin}${path}" alt="${name}: up to which day it has paid" height="20"></a>`;
  return (
    <details className="embed">
      <summary>Badge for other pages</summary>
      <p><img src={path} alt={`${name}: up to which day it has paid`} height="20" /></p>
      <p className="line"><code className="whole">{html}</code> <Copy text={html} what="HTML" /></p>
    </details>
  );
}
