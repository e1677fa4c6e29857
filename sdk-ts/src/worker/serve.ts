/** An audit in a worker, so that a page stays awake: what a worker does with messages, and its caller's side. */

import { createPublicClient, http, type PublicClient } from 'viem';

import { httpPlace } from '../api/place.js';
import { auditProject } from '../chain/audit.js';
import { type Place, Places } from '../day/places.js';
import type { AuditReport, DayReport } from '../day/report.js';
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
  registry: Address;
  distributor: Address;
  places: readonly PlaceName[];
  from?: string;
  to?: string;
  finalityDepth?: bigint;
  logsFrom?: bigint;
}

type Asked = { id: number; job: AuditJob };
type Answered =
  | { id: number; day: DayReport }
  | { id: number; report: AuditReport }
  | { id: number; error: { name: string; message: string } };

/** What a worker of a browser and one of Node have in common. */
export interface Port {
  postMessage(message: unknown): void;
  /** Calls `take` with each message, and `failed` where the other side ends, until what it returns is called. */
  listen(take: (message: unknown) => void, failed?: (error: Error) => void): () => void;
}

/** Opens a place by its name. */
export type OpenPlace = (place: PlaceName) => Place;

export const openHttpPlace: OpenPlace = ({ kind, at }) => {
  if (kind === 'folder') throw new TypeError('a browser reads no folders: name a URL');
  return httpPlace(at, { layout: kind === 'backend' ? 'backend' : 'folder' });
};

/** The worker's side: carries out each audit that is asked for, and tells each day as it is judged. */
export function serveAudits(port: Port, openPlace: OpenPlace): void {
  port.listen((message) => {
    const { id, job } = message as Asked;
    const answer = (what: Answered) => port.postMessage(what);
    audit(job, openPlace, (day) => answer({ id, day })).then(
      (report) => answer({ id, report }),
      (error: unknown) => {
        const { name, message: words } = error instanceof Error ? error : new Error(String(error));
        answer({ id, error: { name, message: words } });
      },
    );
  });
}

async function audit(job: AuditJob, openPlace: OpenPlace, onDay: (day: DayReport) => void): Promise<AuditReport> {
  const { rpcs, places, ...rest } = job;
  const clients = rpcs.map((url) => createPublicClient({ transport: http(url) }) as PublicClient);
  return auditProject({ ...rest, clients, places: new Places(places.map(openPlace)), onDay });
}

let asked = 0;

/** The caller's side: an audit in a worker that serves them. The worker stays, for the next one. */
export function auditIn(port: Port, job: AuditJob, onDay?: (day: DayReport) => void): Promise<AuditReport> {
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
