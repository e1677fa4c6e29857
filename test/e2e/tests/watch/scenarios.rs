//! The people around the watch: honest owners whose signer changes in usual ways, and thieves with
//! the signer's key.

use alloy::primitives::Bytes;
use alloy::providers::Provider as _;
use nodesys_chain::{ChainError, MULTICALL3};
use nodesys_core::ids::Amount;
use nodesys_core::time::{Timestamp, UtcDay};
use nodesys_devnet::deploy::wallet;
use nodesys_devnet::rpc_proxy::RpcProxy;

use crate::signer::{delegate_code, swap_owner};
use crate::thief::Files;
use crate::world::{
    DELAY_SECS, NEXT_CHECKER, POSTED_AFTER_SECS, QUOTA, Recipe, SIGNER, World, post_of,
};

/// Days that an honest owner publishes during the watch.
const HONEST_DAYS: u32 = 2;
/// Days that were left unposted, for a thief to post.
const BACKLOG_DAYS: u32 = 4;
/// Length of a guardian's pause.
const PAUSE_SECS: u64 = 10 * 86_400;
const HOUR_MILLIS: u64 = 3_600_000;
const DAY_MILLIS: u64 = 24 * HOUR_MILLIS;

/// The scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// The owner publishes and posts each day.
    Honest,
    /// The signer is replaced through the timelock; the next day is the new one's.
    RotatedSigner,
    /// The signer is a Safe; one of its owners is replaced between two days.
    SafeOwnerSwapped,
    /// The signer's account takes a contract's code (EIP-7702) between two days.
    CodeDelegated,
    /// A thief posts a day of its own and publishes its files.
    StolenPublishing,
    /// A thief posts a day of its own with a random hash, without files.
    StolenWithholding,
    /// A thief finds several days unposted: posts a true one and a wrong one in a row, and the others
    /// just before whatever the guardian sends, or else one at a time.
    ThiefWithBacklog,
}

pub const ALL: [Scenario; 7] = [
    Scenario::Honest,
    Scenario::RotatedSigner,
    Scenario::SafeOwnerSwapped,
    Scenario::CodeDelegated,
    Scenario::StolenPublishing,
    Scenario::StolenWithholding,
    Scenario::ThiefWithBacklog,
];

/// A scenario under way in a world.
#[derive(Debug)]
pub struct Play {
    scenario: Scenario,
    /// The first unposted day at the beginning.
    pub first: UtcDay,
    /// When the signer changes.
    changes_at: Option<Timestamp>,
    /// Whether the thief has posted.
    struck: bool,
    /// Whether the contract took that post.
    posted: bool,
    /// The thief's remaining commits, in order.
    in_hand: Vec<Bytes>,
    /// The most that the thief can get without a watch.
    at_stake: Amount,
}

impl Scenario {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::RotatedSigner => "rotated signer",
            Self::SafeOwnerSwapped => "Safe owner swapped",
            Self::CodeDelegated => "7702 signer",
            Self::StolenPublishing => "stolen, publishing",
            Self::StolenWithholding => "stolen, withholding",
            Self::ThiefWithBacklog => "thief with a backlog",
        }
    }

    pub const fn is_honest(self) -> bool {
        !matches!(self, Self::StolenPublishing | Self::StolenWithholding | Self::ThiefWithBacklog)
    }

    /// The world it begins in.
    pub async fn world(self) -> anyhow::Result<World> {
        let rotation = self == Self::RotatedSigner;
        let safe = self == Self::SafeOwnerSwapped;
        // A timelock of seven days must have passed for a rotation.
        World::start(Recipe { days: if rotation { 8 } else { 4 }, safe, rotation }).await
    }

    /// Begins it.
    pub async fn play(self, world: &World) -> anyhow::Result<Play> {
        let changes =
            matches!(self, Self::RotatedSigner | Self::SafeOwnerSwapped | Self::CodeDelegated);
        let changes_at =
            if changes { Some(world.now().await?.plus_millis(3 * HOUR_MILLIS)) } else { None };
        let first = world.next_day();
        Ok(Play {
            scenario: self,
            first,
            changes_at,
            struck: false,
            posted: false,
            in_hand: Vec::new(),
            at_stake: Amount::ZERO,
        })
    }
}

/// Time of a day's post.
const fn posted_at(day: UtcDay) -> Timestamp {
    day.end().plus_millis(POSTED_AFTER_SECS * 1_000)
}

async fn at_stake(world: &World, days: u32) -> anyhow::Result<Amount> {
    let state = world.state().await?;
    Ok(Amount::new(state.total.get() - state.paid.get() + u128::from(days) * QUOTA))
}

impl Play {
    /// The scenario's end without a watch.
    pub const fn ends(&self) -> Timestamp {
        let days = match self.scenario {
            Scenario::ThiefWithBacklog => BACKLOG_DAYS,
            Scenario::StolenPublishing | Scenario::StolenWithholding => 1,
            _ => HONEST_DAYS,
        };
        let last = UtcDay(self.first.0 + days - 1);
        posted_at(last).plus_millis(DELAY_SECS * 1_000 + DAY_MILLIS)
    }

    /// The scenario's end after a pause.
    pub const fn ends_after_a_pause(&self) -> Timestamp {
        self.ends().plus_millis((PAUSE_SECS + DELAY_SECS) * 1_000 + DAY_MILLIS)
    }

    /// Days that an honest owner has not posted by now.
    pub fn unposted(&self, world: &World) -> u32 {
        let after = if self.scenario.is_honest() { self.first.0 + HONEST_DAYS } else { 0 };
        after.saturating_sub(world.next_day().0)
    }

    /// Whether a thief has posted.
    pub const fn has_struck(&self) -> bool {
        self.struck
    }

    /// Whether an honest owner's scenario, or a thief's post that the contract took.
    pub const fn took_place(&self) -> bool {
        self.scenario.is_honest() || self.posted
    }

    /// The unwatched thief's gain by docs/contracts.md: everything committed and unclaimed, and a
    /// quota for each of its days.
    pub const fn at_stake(&self) -> Amount {
        self.at_stake
    }

    /// Plays the events of this time, before the watch checks.
    pub async fn act(
        &mut self,
        world: &mut World,
        now: Timestamp,
        rpcs: &[RpcProxy],
    ) -> anyhow::Result<()> {
        if self.changes_at.is_some_and(|at| at <= now) {
            self.changes_at = None;
            self.change_signer(world).await?;
        }
        if self.scenario.is_honest() {
            let last = UtcDay(self.first.0 + HONEST_DAYS - 1);
            while world.next_day() <= last && posted_at(world.next_day()) <= now {
                // Refused while posts are paused or the signer is disabled: it is tried again.
                if world.publish_next().await?.is_err() {
                    break;
                }
            }
            return Ok(());
        }
        if self.struck {
            if !self.in_hand.is_empty() {
                let raw = self.in_hand.remove(0);
                // It may have been sent already, or come too late.
                let _ = world.chain.reader.rpc().send_raw_transaction(&raw).await;
            }
        } else {
            let last = match self.scenario {
                Scenario::ThiefWithBacklog => UtcDay(self.first.0 + BACKLOG_DAYS - 1),
                _ => self.first,
            };
            // During a pause it waits.
            if posted_at(last) <= now && !world.is_paused().await? {
                self.struck = true;
                self.strike(world, rpcs).await?;
            }
        }
        world.thief_claims().await
    }

    async fn change_signer(&self, world: &mut World) -> anyhow::Result<()> {
        let poster = wallet(&world.chain, &world.people.poster).await?;
        match self.scenario {
            Scenario::RotatedSigner => world.rotate_signer().await,
            Scenario::SafeOwnerSwapped => {
                world.signer = swap_owner(&poster, &world.signer, NEXT_CHECKER).await?;
                Ok(())
            }
            // A contract that many wallets batch by, and that knows nothing of signatures.
            Scenario::CodeDelegated => delegate_code(&poster, SIGNER, MULTICALL3).await,
            _ => Ok(()),
        }
    }

    async fn strike(&mut self, world: &mut World, rpcs: &[RpcProxy]) -> anyhow::Result<()> {
        let thief = world.thief().await?;
        let before = world.ledger.before.clone();
        let (day, files) = match self.scenario {
            Scenario::StolenWithholding => (self.first, Files::Withheld),
            _ => (self.first, Files::Published),
        };
        if self.scenario != Scenario::ThiefWithBacklog {
            self.at_stake = at_stake(world, 1).await?;
            let wrong = world.wrong_day(day, before, 1).await?;
            let (_, signed) = world.sign_stolen(wrong, files)?;
            self.posted = match world.post(&thief, &signed).await {
                Ok(()) => true,
                // By a guardian who has acted on a doubt before.
                Err(ChainError::Reverted { .. }) => false,
                Err(error) => return Err(error.into()),
            };
            return Ok(());
        }
        // A true day, as the owner would have posted it.
        let built = world.build(day, before).await?;
        let signed = world.signer.sign(&built.commit, &world.domain());
        world.store.write(&built, &signed)?;
        world.post(&thief, &signed).await?;
        self.posted = true;
        world.ledger.before = built.after();
        world.ledger.honest.push(post_of(&built));
        self.at_stake = at_stake(world, BACKLOG_DAYS - 1).await?;
        // The next for itself, and the rest to be sent whenever it helps.
        let wrong = world.wrong_day(day.next(), built.after(), 1).await?;
        let (mut last, signed) = world.sign_stolen(wrong, Files::Published)?;
        world.post(&thief, &signed).await?;
        for further in 2..BACKLOG_DAYS {
            let day = UtcDay(self.first.0 + further);
            let place = u64::from(further) - 2;
            let quotas = u128::from(further) - 1;
            let wrong = world.wrong_day(day, last.after(), quotas).await?;
            let (next, signed) = world.sign_stolen(wrong, Files::Withheld)?;
            self.in_hand.push(world.raw_post(&signed, place).await?);
            last = next;
        }
        for rpc in rpcs {
            rpc.front_run(self.in_hand.iter().cloned());
        }
        Ok(())
    }
}
