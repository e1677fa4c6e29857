/** The backend's public reads. They need nothing of a chain or a signature, so a page that only shows stays small. */

import { type Address, type Hash, list } from '../parse.js';
import { Http, type HttpOptions } from './http.js';
import * as views from './views.js';

/** What anyone may ask. Errors are `ApiProblem`, `BadAnswer` and `NoAnswer`. */
export class Reads {
  readonly http: Http;

  constructor(base: string, options: HttpOptions = {}) {
    this.http = new Http(base, options);
  }

  /** Chain, registry and receipt key; compare them with your own. */
  network(): Promise<views.Network> {
    return this.http.json({ method: 'GET', path: ['v1', 'network'] }, views.network);
  }

  projects(): Promise<views.ProjectRow[]> {
    return this.http.json({ method: 'GET', path: ['v1', 'projects'] }, list(views.projectRow));
  }

  project(project: Address): Promise<views.ProjectRow> {
    return this.http.json({ method: 'GET', path: ['v1', 'projects', project] }, views.projectRow);
  }

  node(nodeKey: Address): Promise<views.NodeView> {
    return this.http.json({ method: 'GET', path: ['v1', 'nodes', nodeKey] }, views.nodeView);
  }

  /** A page of an operator's nodes, with what each runs; `after` is the `next` of the page before. */
  fleet(operator: Address, after?: string): Promise<views.Fleet> {
    const query = after === undefined ? {} : { query: { after } };
    return this.http.json({ method: 'GET', path: ['v1', 'operators', operator], ...query }, views.fleet);
  }

  /** Who runs a license. */
  lease(licenseHash: Hash): Promise<views.LeaseView> {
    return this.http.json({ method: 'GET', path: ['v1', 'leases', licenseHash] }, views.leaseView);
  }

  license(collection: Address, tokenId: bigint): Promise<views.LicenseView> {
    const path = ['v1', 'licenses', collection, `${tokenId}`];
    return this.http.json({ method: 'GET', path }, views.licenseView);
  }

  /** One license's day, open or closed. */
  licenseDay(collection: Address, tokenId: bigint, day: string): Promise<views.LicenseDay> {
    const path = ['v1', 'licenses', collection, `${tokenId}`, 'uptime', day];
    return this.http.json({ method: 'GET', path }, views.licenseDay);
  }

  /** A license's days in numbers, 400 at most; the last year's where no range is named. */
  licenseDays(collection: Address, tokenId: bigint, range: { from?: string; to?: string } = {}): Promise<views.LicenseDays> {
    const path = ['v1', 'licenses', collection, `${tokenId}`, 'uptime'];
    return this.http.json({ method: 'GET', path, query: { ...range } }, views.licenseDays);
  }

  day(day: string): Promise<views.DayView> {
    return this.http.json({ method: 'GET', path: ['v1', 'days', day] }, views.dayView);
  }

  /** The bytes of a closed day's `uptime.csv`, part by part. */
  uptime(project: Address, day: string): Promise<AsyncIterable<Uint8Array>> {
    return this.http.parts({ method: 'GET', path: ['v1', 'uptime', project, day] });
  }

  commitOf(project: Address, day: string): Promise<views.CommitView> {
    return this.http.json({ method: 'GET', path: ['v1', 'commits', project, day] }, views.commitView);
  }

  /** The project's commits. */
  roots(project: Address): Promise<views.CommitView[]> {
    return this.http.json({ method: 'GET', path: ['v1', 'roots', project] }, list(views.commitView));
  }

  /** An account's proof by the newest active commit, or by a day's. */
  proof(project: Address, account: Address, day?: string): Promise<views.ProofView> {
    const query = day === undefined ? {} : { query: { day } };
    return this.http.json({ method: 'GET', path: ['v1', 'proofs', project, account], ...query }, views.proofView);
  }

  /** What an account has earned and claimed, by project. */
  rewards(account: Address): Promise<views.RewardView[]> {
    return this.http.json({ method: 'GET', path: ['v1', 'rewards', account] }, list(views.rewardView));
  }

  /** One file of a published day, part by part. */
  bundleFile(project: Address, day: string, file: string): Promise<AsyncIterable<Uint8Array>> {
    return this.http.parts({ method: 'GET', path: ['v1', 'bundles', project, day, file] });
  }
}
