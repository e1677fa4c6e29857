//! Slots: requests under way, each of which may hold a body. They are bounded in all, and for each
//! ticket's license and node, so that nobody's slow bodies keep the others out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nodesys_core::{Address, B256};

/// Requests under way at once.
const MOST: usize = 256;
/// Of one license and node. A workload leases and answers in few requests.
const MOST_OF_ONE: usize = 16;

/// A license, and the node whose key signed the ticket: a stranger's ticket uses up nobody else's.
type Holder = (B256, Address);

/// The slots.
#[derive(Clone, Default)]
pub(crate) struct Slots(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    all: usize,
    by_holder: HashMap<Holder, usize>,
}

impl Slots {
    /// A slot for a request whose ticket is not read yet.
    pub(super) fn enter(&self) -> Option<Slot> {
        let mut taken = lock(&self.0);
        if taken.all >= MOST {
            return None;
        }
        taken.all += 1;
        Some(Slot { slots: self.clone(), holder: None })
    }
}

/// One request's slot, given back when it is dropped.
pub(super) struct Slot {
    slots: Slots,
    holder: Option<Holder>,
}

impl Slot {
    /// Counts it for the ticket's license and node; false when these have all of theirs.
    pub(super) fn belongs_to(&mut self, license: B256, node_key: Address) -> bool {
        let mut taken = lock(&self.slots.0);
        let held = taken.by_holder.entry((license, node_key)).or_default();
        if *held >= MOST_OF_ONE {
            return false;
        }
        *held += 1;
        self.holder = Some((license, node_key));
        true
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = lock(&self.slots.0);
        taken.all -= 1;
        if let Some(holder) = self.holder
            && let Some(held) = taken.by_holder.get_mut(&holder)
        {
            *held -= 1;
            if *held == 0 {
                taken.by_holder.remove(&holder);
            }
        }
    }
}

/// Every change under the lock is whole.
fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_license_leaves_slots_to_the_others() {
        let slots = Slots::default();
        let (license, node) = (B256::repeat_byte(1), Address::repeat_byte(1));
        let mut held = Vec::new();
        for _ in 0..300 {
            let mut slot = slots.enter().expect("a slot that was not taken is given back");
            if slot.belongs_to(license, node) {
                held.push(slot);
            }
        }
        assert_eq!(held.len(), MOST_OF_ONE);
        let mut another = slots.enter().unwrap();
        assert!(another.belongs_to(license, Address::repeat_byte(2)), "another node's ticket");
        drop(held.pop());
        assert!(slots.enter().unwrap().belongs_to(license, node));
        drop((held, another));
        let taken = lock(&slots.0);
        assert_eq!((taken.all, taken.by_holder.len()), (0, 0));
    }
}
