/** An audit in a worker, so that a page stays awake: its caller's side, and what the messages are. */

import type { AuditReport, CheckName, DayReport } from '../day/report.js';
import type { Address } from '../parse.js';

/** A place by its name, as a message can carry it. */
export interface PlaceName {
  kind: 'backend' | 'mirror' | 'folder';
  /** A URL; a path where it is a folder, which only Node can read. */
  at: string;
}

/** What an audit needs, as a message can carry it. */
export interface AuditJob {
  rpcs: readonly string[];
  chainId?: bigint;
  registry: Address;
  distributor: Address;
  places: readonly PlaceName[];
  from?: string;
  to?: string;
  finalityDepth?: bigint;
  logsFrom?: bigint;
}

export type Asked = { id: number; job: AuditJob };
export type Answered =
  | { id: number; day: DayReport }
  | { id: number; check: CheckName; of: string }
  | { id: number; report: AuditReport }
  | { id: number; error: { name: string; message: string } };

/** What a worker of a browser and one of Node have in common. */
export interface Port {
  postMessage(message: unknown): void;
  /** Calls `take` with each message, and `failed` where the other side ends, until what it returns is called. */
  listen(take: (message: unknown) => void, failed?: (error: Error) => void): () => void;
}

let asked = 0;

/** The caller's side: an audit in a worker that serves them. The worker stays, for the next one. */
export function auditIn(
  port: Port,
  job: AuditJob,
  onDay?: (day: DayReport) => void,
  onCheck?: (day: string, check: CheckName) => void,
): Promise<AuditReport> {
  asked += 1;
  const id = asked;
  return new Promise((resolve, reject) => {
    const end = port.listen((message) => {
      const answer = message as Answered;
      if (answer.id !== id) return;
      if ('day' in answer) {
        onDay?.(answer.day);
        return;
      }
      if ('check' in answer) {
        onCheck?.(answer.of, answer.check);
        return;
      }
      end();
      if ('report' in answer) resolve(answer.report);
      else reject(Object.assign(new Error(answer.error.message), { name: answer.error.name }));
    }, reject);
    port.postMessage({ id, job } satisfies Asked);
  });
}

/** A browser's worker as a port. */
export function workerPort(worker: Worker): Port {
  return {
    postMessage: (message) => worker.postMessage(message),
    listen(take, failed) {
      const message = ({ data }: MessageEvent) => take(data);
      const error = (event: ErrorEvent) => failed?.(new Error(`the worker failed: ${event.message}`));
      worker.addEventListener('message', message);
      worker.addEventListener('error', error);
      return () => {
        worker.removeEventListener('message', message);
        worker.removeEventListener('error', error);
      };
    },
  };
}
