/** The recomputation of a day in this browser: in a worker, over the visitor's RPC. Loaded once a day is on chain. */

import { useEffect, useRef, useState } from 'react';

import { type AuditReport, type CheckName, CHECKS, type Doubt, type Finding } from '../../../sdk-ts/src/day/report.js';
import type { Address } from '../../../sdk-ts/src/parse.js';
import { auditIn, workerPort } from '../../../sdk-ts/src/worker/port.js';
import { CHECK_WORDS, VERDICTS } from '../lib/verdict.js';
import { Badge } from './bits.js';
import { RpcForm } from './source.js';

export interface Wanted {
  chainId: bigint;
  registry: Address;
  project: Address;
  day: string;
}

type State =
  | { step: 'idle' }
  | { step: 'running'; check: CheckName | undefined }
  | { step: 'stopped'; words: string }
  | { step: 'done'; report: AuditReport };

/** More rows than this are counted, not shown. */
const MOST_SHOWN = 20;

export function Verify({ chainId, registry, project, day }: Wanted) {
  const [state, setState] = useState<State>({ step: 'idle' });
  const worker = useRef<Worker>(undefined);
  const end = () => {
    worker.current?.terminate();
    worker.current = undefined;
  };
  useEffect(() => end, []);
  const run = async (url: string) => {
    end();
    setState({ step: 'running', check: undefined });
    const own = new Worker(new URL('../../../sdk-ts/src/worker/browser.ts', import.meta.url), { type: 'module' });
    worker.current = own;
    const tell = (next: State) => {
      if (worker.current === own) setState(next);
    };
    try {
      const places = [{ kind: 'backend' as const, at: location.origin }];
      const job = { rpcs: [url], chainId, registry, distributor: project, places, from: day, to: day };
      const report = await auditIn(workerPort(own), job, undefined, (_, check) => tell({ step: 'running', check }));
      tell({ step: 'done', report });
    } catch (error) {
      tell({ step: 'stopped', words: (error instanceof Error ? error.message : String(error)).slice(0, 500) });
    }
    if (worker.current === own) end();
  };
  const stop = () => {
    end();
    setState({ step: 'idle' });
  };
  const running = state.step === 'running';
  return (
    <div className="result">
      <p>
        Fetches the committed files from this backend and the facts from your RPC, recomputes the day in this browser, and holds it
        against the commit on chain. What is still the backend’s is this page and the registry’s address at its foot: hold that against
        the one you know, or run <code>nodesys audit</code>.
      </p>
      <RpcForm use={(url) => void run(url)} busy={running} action="Verify this day" />
      {running && <Running check={state.check} stop={stop} />}
      <div role="status" className="result">
        {state.step === 'stopped' && <Told verdict="cannot_tell" reasons={[state.words]} />}
        {state.step === 'done' && <Done report={state.report} />}
      </div>
    </div>
  );
}

function Running({ check, stop }: { check: CheckName | undefined; stop: () => void }) {
  const done = check === undefined ? 0 : CHECKS.indexOf(check) + 1;
  return (
    <>
      <progress max={CHECKS.length + 1} value={done} aria-label="Steps of the verification" />
      <p className="quiet">
        {check === undefined ? 'Reading the project’s history from the chain…' : `${done} of ${CHECKS.length}: ${CHECK_WORDS[check]}…`}{' '}
        <button type="button" onClick={stop}>Stop</button>
      </p>
    </>
  );
}

function Told({ verdict, reasons }: { verdict: keyof typeof VERDICTS; reasons: readonly string[] }) {
  const { tone, head, words } = VERDICTS[verdict];
  return (
    <div className={`verdict verdict-${tone}`}>
      <p><Badge tone={tone}>{head}</Badge></p>
      <p>{words}</p>
      {reasons.length > 0 && <ul>{reasons.slice(0, MOST_SHOWN).map((one) => <li key={one} className="words">{one.slice(0, 600)}</li>)}</ul>}
      {reasons.length > MOST_SHOWN && <p className="quiet">… and {reasons.length - MOST_SHOWN} more.</p>}
    </div>
  );
}

function Done({ report }: { report: AuditReport }) {
  const [day] = report.days;
  const reasons = [...new Set([...report.findings.map(found), ...report.doubts.map(doubted)])];
  return (
    <>
      <Told verdict={report.verdict} reasons={reasons} />
      {day !== undefined && (
        <ul className="checks" aria-label="Steps of the verification">
          {day.checks.map(({ check, verdict }) => (
            <li key={check}><Badge tone={VERDICTS[verdict].tone}>{VERDICTS[verdict].name}</Badge> <span>{CHECK_WORDS[check]}</span></li>
          ))}
        </ul>
      )}
      {report.passedOver.length > 0 && (
        <p className="quiet">Not as it was committed: {report.passedOver.slice(0, MOST_SHOWN).map((one) => `${one.file} (${one.problem})`).join('; ')}.</p>
      )}
    </>
  );
}

function found({ file, problem, difference }: Finding): string {
  if (difference === undefined) return file === undefined ? problem : `${file}: ${problem}`;
  const { line, header, given = '(nothing)', computed = '(nothing)' } = difference;
  return `${difference.file} line ${line}, ${header}: given ${given}, computed ${computed}; ${problem}`;
}

const doubted = ({ file, problem, fix }: Doubt) => `${file === undefined ? '' : `${file}: `}${problem}; ${fix}`;
