//! Election of the acting manager: a Kubernetes Lease that one of them holds.
//!
//! The holder renews every [`RENEW_MILLIS`] and stops acting by itself after [`ACT_MILLIS`] without
//! success, well before another may take over after [`LEASE_SECS`] without a renewal. Clocks are
//! not compared: each manager measures, on its own monotonic clock, how long it has seen the Lease
//! unchanged. A holder that stops in good order releases it at once.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff;
use kube::api::{Api, ObjectMeta, PostParams};
use nodesys_clock::Clock;

use nodesys_render::{MANAGER, MANAGER_NAMESPACE};

/// Time for which a Lease without renewal keeps others out.
pub const LEASE_SECS: i32 = 60;
/// Interval of the holder's renewals and of others' checks.
pub const RENEW_MILLIS: u64 = 15_000;
/// Time for which the holder acts after its last renewal. Requests sent by then end within the
/// client's time limit of 10 seconds.
pub const ACT_MILLIS: u64 = 45_000;

/// The next step with the Lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nobody holds it, or its holder is silent: take it.
    Take,
    /// It is this manager's: renew it.
    Renew,
    /// Another holds it.
    Wait,
}

/// This manager's observations of the Lease. Pure.
#[derive(Debug, Default)]
pub struct Watch {
    /// The last seen version, and the time it was first seen.
    seen: Option<(String, u64)>,
}

impl Watch {
    /// Decides from the current Lease; `None` if there is none.
    pub fn step(&mut self, lease: Option<&Lease>, us: &str, now_millis: u64) -> Step {
        let Some(lease) = lease else { return Step::Take };
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        let since = match &self.seen {
            Some((seen, since)) if *seen == version => *since,
            _ => {
                self.seen = Some((version, now_millis));
                now_millis
            }
        };
        let spec = lease.spec.as_ref();
        let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
        let secs = spec.and_then(|spec| spec.lease_duration_seconds).unwrap_or(LEASE_SECS);
        let lasts = u64::from(secs.max(1).unsigned_abs()) * 1000;
        if holder == us {
            Step::Renew
        } else if holder.is_empty() || now_millis.saturating_sub(since) >= lasts {
            Step::Take
        } else {
            Step::Wait
        }
    }
}

/// This manager's hold of the Lease.
pub struct Election {
    api: Api<Lease>,
    us: String,
    clock: Clock,
    /// End of this manager's right to act, on the monotonic clock; 0 for none.
    acts_until: AtomicU64,
    watch: tokio::sync::Mutex<Watch>,
}

impl Election {
    /// Not the holder yet.
    pub fn new(client: kube::Client, us: String, clock: Clock) -> Self {
        let api = Api::namespaced(client, MANAGER_NAMESPACE);
        Self { api, us, clock, acts_until: AtomicU64::new(0), watch: Default::default() }
    }

    /// Whether this manager may act now.
    pub fn acts(&self) -> bool {
        self.clock.monotonic_millis() < self.acts_until.load(Ordering::Acquire)
    }

    /// Takes or renews the Lease if possible; true if this manager may act.
    pub async fn tick(&self) -> anyhow::Result<bool> {
        // Counted from before the request: the server's count begins later.
        let now = self.clock.monotonic_millis();
        let lease = self.api.get_opt(MANAGER).await.context("the Lease cannot be read")?;
        let step = self.watch.lock().await.step(lease.as_ref(), &self.us, now);
        if step != Step::Wait {
            match self.write(lease, step).await {
                Ok(()) => self.acts_until.store(now + ACT_MILLIS, Ordering::Release),
                // Another was faster.
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => return Err(error).context("the Lease cannot be written"),
            }
        } else {
            self.acts_until.store(0, Ordering::Release);
        }
        Ok(self.acts())
    }

    async fn write(&self, lease: Option<Lease>, step: Step) -> Result<(), kube::Error> {
        let millis = i64::try_from(self.clock.now().millis()).unwrap_or(i64::MAX);
        let now = jiff::Timestamp::from_millisecond(millis).ok().map(MicroTime);
        let create = lease.is_none();
        let mut lease = lease.unwrap_or_else(|| Lease {
            metadata: ObjectMeta { name: Some(MANAGER.to_owned()), ..ObjectMeta::default() },
            spec: None,
        });
        let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
        if step == Step::Take {
            spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0).saturating_add(1));
            spec.acquire_time.clone_from(&now);
        }
        spec.holder_identity = Some(self.us.clone());
        spec.lease_duration_seconds = Some(LEASE_SECS);
        spec.renew_time = now;
        self.put(create, &lease).await
    }

    async fn put(&self, create: bool, lease: &Lease) -> Result<(), kube::Error> {
        let by = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        if create {
            self.api.create(&by, lease).await.map(drop)
        } else {
            // With the version that was read: whoever wrote since wins.
            self.api.replace(MANAGER, &by, lease).await.map(drop)
        }
    }

    /// Releases the Lease, so that another need not wait.
    pub async fn release(&self) -> anyhow::Result<()> {
        self.acts_until.store(0, Ordering::Release);
        let Some(mut lease) = self.api.get_opt(MANAGER).await? else { return Ok(()) };
        if let Some(spec) = lease.spec.as_mut()
            && spec.holder_identity.as_deref() == Some(&self.us)
        {
            spec.holder_identity = None;
            self.put(false, &lease).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: &str, version: &str) -> Lease {
        Lease {
            metadata: ObjectMeta {
                resource_version: Some(version.to_owned()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.to_owned()),
                lease_duration_seconds: Some(60),
                ..LeaseSpec::default()
            }),
        }
    }

    #[test]
    fn a_lease_is_taken_only_after_its_holder_was_silent_for_its_whole_time() {
        let mut watch = Watch::default();
        assert_eq!(watch.step(None, "a", 0), Step::Take);
        for (holder, version, at, step) in [
            ("b", "1", 1_000, Step::Wait),
            ("b", "1", 60_999, Step::Wait),
            // Renewed at the last moment: the count begins anew.
            ("b", "2", 61_000, Step::Wait),
            ("b", "2", 120_999, Step::Wait),
            ("b", "2", 121_000, Step::Take),
            ("a", "3", 121_100, Step::Renew),
            ("b", "4", 121_200, Step::Wait),
            ("", "5", 121_300, Step::Take),
        ] {
            assert_eq!(watch.step(Some(&lease(holder, version)), "a", at), step, "at {at}");
        }
    }

    /// A former holder has stopped, open requests included, before another may begin.
    #[test]
    fn the_times_leave_room() {
        let lasts = u64::from(LEASE_SECS.unsigned_abs()) * 1000;
        let request = u64::try_from(super::super::CLIENT_TIMEOUT.as_millis()).unwrap();
        assert!(ACT_MILLIS + request <= lasts);
        const { assert!(2 * RENEW_MILLIS < ACT_MILLIS) };
    }
}
