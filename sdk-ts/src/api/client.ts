/** The backend's API: one method for each route that owners, holders and dashboards need. */

import type { Claimable } from '../claims/claims.js';
import { proofHolds } from '../day/tree.js';
import { closedUptime, type ClosedUptime, type Terms } from '../formats/bundle.js';
import { canonicalJson } from '../formats/json.js';
import { type Message, type RewardCommit, toWire } from '../messages.js';
import { type Address, type Hash, type Hex, list } from '../parse.js';
import { BadAnswer, Http, type HttpOptions } from './http.js';
import * as views from './views.js';

type Signed<M> = { message: M; signature: Hex };

/** A backend. Errors are {@link ApiProblem}, {@link BadAnswer} and {@link NoAnswer}. */
export class Backend {
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

  /** A node's authorisation, signed by the operator's wallet and by the node's key. */
  authorizeNode(
    authorization: Message<'NodeAuthorization'>,
    operatorSignature: Hex,
    nodeSignature: Hex,
  ): Promise<views.NodeView> {
    const body = {
      authorization: toWire('NodeAuthorization', authorization),
      operator_signature: operatorSignature,
      node_signature: nodeSignature,
    };
    return this.post(['v1', 'nodes'], body, views.nodeView);
  }

  /** Ends an authorisation. */
  revokeNode({ message, signature }: Signed<Message<'NodeRevocation'>>): Promise<views.NodeView> {
    const body = { revocation: toWire('NodeRevocation', message), operator_signature: signature };
    return this.post(['v1', 'nodes', 'revocations'], body, views.nodeView);
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

  day(day: string): Promise<views.DayView> {
    return this.http.json({ method: 'GET', path: ['v1', 'days', day] }, views.dayView);
  }

  /** The bytes of a closed day's `uptime.csv`, part by part. */
  uptime(project: Address, day: string): Promise<AsyncIterable<Uint8Array>> {
    return this.http.parts({ method: 'GET', path: ['v1', 'uptime', project, day] });
  }

  /** How that file belongs to the signed day. */
  closedUptime(project: Address, day: string): Promise<ClosedUptime> {
    return this.http.json({ method: 'GET', path: ['v1', 'uptime', project, day, 'closed'] }, closedUptime);
  }

  /** The day's points and terms under the reward signer's `PointsUpload`. */
  putPoints(
    project: Address,
    day: string,
    terms: Terms,
    signature: Hex,
    pointsCsv: Uint8Array,
  ): Promise<views.PointsChecked> {
    const query = { terms: base64Url(canonicalJson(terms)), signature };
    const body = { type: 'text/csv', bytes: pointsCsv };
    return this.http.json({ method: 'PUT', path: ['v1', 'points', project, day], query, body }, views.pointsChecked);
  }

  /** A signed commit; the same again gives the same answer. */
  commit(project: Address, commit: RewardCommit, signature: Hex): Promise<views.CommitView> {
    const body = { project, commit: toWire('RewardCommit', commit), signature };
    return this.post(['v1', 'commits'], body, views.commitView);
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

  /** The same for a claim, once the proof is found to lead to its root. That the root is active the chain says. */
  async claimable(distributor: Address, account: Address): Promise<Claimable> {
    const { root, cumulative, path, account: proven } = await this.proof(distributor, account);
    const proof = { account: proven, cumulative, path };
    if (proven === account.toLowerCase() && proofHolds(proof, root)) return { distributor, root, proof };
    throw new BadAnswer(this.http.base, 200, `its proof of ${account} does not lead to its root`);
  }

  /** What an account has earned and claimed, by project. */
  rewards(account: Address): Promise<views.RewardView[]> {
    return this.http.json({ method: 'GET', path: ['v1', 'rewards', account] }, list(views.rewardView));
  }

  /** One file of a published day, part by part. */
  bundleFile(project: Address, day: string, file: string): Promise<AsyncIterable<Uint8Array>> {
    return this.http.parts({ method: 'GET', path: ['v1', 'bundles', project, day, file] });
  }

  private post<T>(path: string[], body: unknown, parser: (value: unknown) => T): Promise<T> {
    const json = { type: 'application/json', bytes: JSON.stringify(body) };
    return this.http.json({ method: 'POST', path, body: json }, parser);
  }
}

function base64Url(text: string): string {
  const binary = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
