/** The worker's side of an audit in a worker: it carries out what it is asked for. */

import { createPublicClient, http, type PublicClient } from 'viem';

import { httpPlace } from '../api/place.js';
import { type AuditOptions, auditProject } from '../chain/audit.js';
import { type Place, Places } from '../day/places.js';
import type { AuditReport } from '../day/report.js';
import type { Answered, Asked, AuditJob, PlaceName, Port } from './port.js';

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
    const told: Told = {
      onDay: (day) => answer({ id, day }),
      onCheck: (of, check) => answer({ id, check, of }),
    };
    audit(job, openPlace, told).then(
      (report) => answer({ id, report }),
      (error: unknown) => {
        const { name, message: words } = error instanceof Error ? error : new Error(String(error));
        answer({ id, error: { name, message: words } });
      },
    );
  });
}

type Told = Pick<AuditOptions, 'onDay' | 'onCheck'>;

async function audit(job: AuditJob, openPlace: OpenPlace, told: Told): Promise<AuditReport> {
  const { rpcs, places, ...rest } = job;
  const clients = rpcs.map((url) => createPublicClient({ transport: http(url) }) as PublicClient);
  return auditProject({ ...rest, clients, places: new Places(places.map(openPlace)), ...told });
}
