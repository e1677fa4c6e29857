//! Whose rights new blocks may have changed.

use std::collections::BTreeSet;

use nodesys_chain::logs::Delegated;
use nodesys_core::Address;
use nodesys_core::ids::LicenseIndex;
use nodesys_core::license::LicenseId;

/// Operators and licenses whose rights may have changed.
#[derive(Default)]
pub(crate) struct Touched {
    pub(super) licenses: BTreeSet<LicenseIndex>,
    pub(super) delegates: BTreeSet<Delegated>,
    /// Nobody can say whose.
    pub(super) anybody: bool,
}

impl Touched {
    /// Adds another's changes.
    pub(super) fn extend(&mut self, other: Self) {
        self.licenses.extend(other.licenses);
        self.delegates.extend(other.delegates);
        self.anybody |= other.anybody;
    }

    /// Whether all rights may have changed.
    pub(crate) const fn anybody(&self) -> bool {
        self.anybody
    }

    /// The licenses whose rights may have changed.
    pub(crate) fn licenses(&self) -> Vec<LicenseIndex> {
        self.licenses.iter().copied().collect()
    }

    /// The operators of whose licenses some may have changed.
    pub(crate) fn operators(&self) -> Vec<Address> {
        self.delegates.iter().map(|delegate| delegate.to).collect()
    }

    /// Whether this operator's right to this license may have changed.
    pub(crate) fn concerns(
        &self,
        license: LicenseIndex,
        id: &LicenseId,
        operator: Address,
    ) -> bool {
        let delegate = Delegated { to: operator, collection: id.collection };
        self.anybody || self.licenses.contains(&license) || self.delegates.contains(&delegate)
    }
}
