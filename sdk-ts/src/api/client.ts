/** The backend's API: one method for each route that owners, holders and dashboards need. */

import type { Claimable } from '../claims/claims.js';
import { proofHolds } from '../day/tree.js';
import { closedUptime, type ClosedUptime, type Terms } from '../formats/bundle.js';
import { canonicalJson } from '../formats/json.js';
import { type Message, type RewardCommit, toWire } from '../messages.js';
import type { Address, Hex } from '../parse.js';
import { BadAnswer } from './http.js';
import { Reads } from './reads.js';
import * as views from './views.js';

type Signed<M> = { message: M; signature: Hex };

/** A backend. Errors are {@link ApiProblem}, {@link BadAnswer} and {@link NoAnswer}. */
export class Backend extends Reads {
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

  /** The same for a claim, once the proof is found to lead to its root. That the root is active the chain says. */
  async claimable(distributor: Address, account: Address): Promise<Claimable> {
    const { root, cumulative, path, account: proven } = await this.proof(distributor, account);
    const proof = { account: proven, cumulative, path };
    if (proven === account.toLowerCase() && proofHolds(proof, root)) return { distributor, root, proof };
    throw new BadAnswer(this.http.base, 200, `its proof of ${account} does not lead to its root`);
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
