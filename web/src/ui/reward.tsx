/** The figures of one project's rewards: the same on every page. */

import type { CommitView, RewardView } from '../../../sdk-ts/src/api/views.js';
import { figures, pendingUntil } from '../lib/rewards.js';
import { Amount, Figure, Moment } from './bits.js';

export function RewardFigures({ reward, roots }: { reward: RewardView; roots: CommitView[] | undefined }) {
  const { claimable, pending, claimed } = figures(reward);
  const until = pendingUntil(roots ?? []);
  return (
    <div className="figures">
      <div className="figure main"><span className="figure-value"><Amount wei={claimable} /></span><span className="figure-name">claimable now</span></div>
      <div className="figure">
        <span className="figure-value"><Amount wei={pending} /></span>
        <span className="figure-name">
          pending{pending > 0n && (until === undefined ? ', until its root is on chain' : <>, until <Moment millis={until} /></>)}
        </span>
      </div>
      <Figure name="claimed"><Amount wei={claimed} /></Figure>
      <Figure name="earned in all"><Amount wei={reward.cumulative} /></Figure>
    </div>
  );
}
